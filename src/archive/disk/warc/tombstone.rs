//! The block of the record that stays of a delivery that was removed.

use super::{
    super::entry::{DeliveryMeta, Tombstone},
    date, fingerprint,
};
use crate::delivery::DeliveryId;

/// The first word of the block. The block of a state begins with another.
const REMOVED_AT: &str = "removed-at";

pub(super) fn print(tombstone: &Tombstone) -> String {
    let Tombstone { meta, state, removed_at } = tombstone;
    format!(
        "{REMOVED_AT}: {}\r\nmodel: {}\r\nfingerprint: {}\r\nreceived-at: {}\r\nstate: {state}\r\n",
        date::print(*removed_at),
        meta.model,
        fingerprint::print_short(meta.fingerprint),
        date::print(meta.received_at),
    )
}

/// What stays of the delivery `of`, if this is the block that tells it.
pub(super) fn parse(of: DeliveryId, block: &str) -> Option<Tombstone> {
    let field = |name: &str| {
        let lines = block.split("\r\n");
        lines.filter_map(|line| line.split_once(": ")).find(|(key, _)| *key == name)
    };
    let removed_at =
        date::parse(block.strip_prefix(REMOVED_AT)?.strip_prefix(": ")?.lines().next()?)?;
    let meta = DeliveryMeta {
        id: of,
        model: field("model")?.1.parse().ok()?,
        fingerprint: fingerprint::parse_short(field("fingerprint")?.1)?,
        received_at: date::parse(field("received-at")?.1)?,
    };
    let state = field("state")?.1.parse().ok()?;
    Some(Tombstone { meta, state, removed_at })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        archive::disk::tests::delivery,
        delivery::{Outcome, State},
    };

    #[test]
    fn what_stays_of_a_delivery_reads_back() {
        let meta = DeliveryMeta::of(&delivery("/m", b"a"));
        for state in [State::NEW, Outcome::failed("model: none").into()] {
            let removed_at = meta.received_at;
            let tombstone = Tombstone { meta: meta.clone(), state, removed_at };
            assert_eq!(parse(meta.id, &print(&tombstone)), Some(tombstone));
        }
        assert_eq!(parse(meta.id, "state: processed 200\r\n"), None);
    }
}
