//! The block of the record that stays of a delivery that was removed.

use super::{super::entry::Facts, super::entry::Tombstone, date};
use crate::delivery::DeliveryId;

/// The first word of the block. The block of an outcome begins with another.
const REMOVED_AT: &str = "removed-at";

pub(super) fn print(tombstone: &Tombstone) -> String {
    let Tombstone { facts, outcome, removed_at } = tombstone;
    let outcome =
        outcome.as_ref().map(|outcome| format!("outcome: {outcome}\r\n")).unwrap_or_default();
    format!(
        "{REMOVED_AT}: {}\r\nmodel: {}\r\ndigest: sha256:{}\r\nreceived-at: {}\r\n{outcome}",
        date::print(*removed_at),
        facts.model,
        facts.digest,
        date::print(facts.received_at),
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
    let facts = Facts {
        id: of,
        model: field("model")?.1.parse().ok()?,
        digest: field("digest")?.1.strip_prefix("sha256:")?.parse().ok()?,
        received_at: date::parse(field("received-at")?.1)?,
    };
    let outcome = field("outcome").and_then(|(_, outcome)| outcome.parse().ok());
    Some(Tombstone { facts, outcome, removed_at })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{archive::disk::tests::delivery, delivery::Outcome};

    #[test]
    fn what_stays_of_a_delivery_reads_back() {
        let facts = Facts::of(&delivery("/m", b"a"));
        for outcome in [None, Some(Outcome::failed("model: none"))] {
            let removed_at = facts.received_at;
            let tombstone = Tombstone { facts: facts.clone(), outcome, removed_at };
            assert_eq!(parse(facts.id, &print(&tombstone)), Some(tombstone));
        }
        assert_eq!(parse(facts.id, "outcome: processed 200\r\n"), None);
    }
}
