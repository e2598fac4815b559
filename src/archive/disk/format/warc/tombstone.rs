//! The block of a record with ledger entries: one line per removed delivery, so that a ledger entry takes little more
//! space than its id, fingerprint, times and state.

use std::fmt::Write;

use super::values;
use crate::archive::{
    disk::format::entry::{DeliveryMeta, Tombstone},
    nanos, parse_nanos,
};

/// The first line of the block. The block of a state starts with a different line.
const LEDGER: &str = "ledger:";

/// The maximum number of ledger entries in one record. Even with the longest reasons, a record stays below
/// [`LONGEST_NOTE`](super::meaning::LONGEST_NOTE).
pub(in crate::archive::disk) const MAX_LEDGER_ENTRIES: usize = 64;

pub(super) fn print(tombstones: &[Tombstone]) -> String {
    let mut block = format!("{LEDGER}\r\n");
    for tombstone in tombstones {
        let Tombstone { meta, state, removed_at } = tombstone;
        let DeliveryMeta { id, model, fingerprint, received_at } = meta;
        let fingerprint = values::print_short(*fingerprint);
        let (received_at, removed_at) = (nanos(*received_at), nanos(*removed_at));
        // Writing to a string cannot fail.
        let _ = write!(block, "{id} {fingerprint} {received_at} {removed_at} {model} {state}\r\n");
    }
    block
}

/// Parses the ledger entries in a block, if it contains any.
pub(super) fn parse(block: &str) -> Option<Vec<Tombstone>> {
    let (first, lines) = block.split_once("\r\n")?;
    let lines = (first == LEDGER).then_some(lines)?;
    lines.split_terminator("\r\n").map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Tombstone> {
    let mut words = line.splitn(6, ' ');
    let id = words.next()?.parse().ok()?;
    let fingerprint = values::parse_short(words.next()?)?;
    let (received_at, removed_at) = (parse_nanos(words.next()?)?, parse_nanos(words.next()?)?);
    let model = words.next()?.parse().ok()?;
    let state = words.next()?.parse().ok()?;
    let meta = DeliveryMeta { id, model, fingerprint, received_at };
    Some(Tombstone { meta, state, removed_at })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        archive::disk::{format::warc::decode::LONGEST_NOTE, tests::delivery},
        delivery::{Outcome, State},
    };

    fn tombstone(state: State) -> Tombstone {
        let meta = DeliveryMeta::of(&delivery("/m", b"a"));
        Tombstone { removed_at: meta.received_at, meta, state }
    }

    #[test]
    fn ledger_entries_read_back() {
        let states = [State::NEW, Outcome::failed("model: none").into()];
        let all: Vec<_> = states.into_iter().map(tombstone).collect();
        assert_eq!(parse(&print(&all)), Some(all));
        assert_eq!(parse("state: processed 200\r\n"), None);
    }

    #[test]
    fn record_with_the_most_and_longest_ledger_entries_is_read() {
        let long = || tombstone(Outcome::dead("x".repeat(4000)).into());
        let all: Vec<_> = (0..MAX_LEDGER_ENTRIES).map(|_| long()).collect();
        assert!((print(&all).len() as u64) < LONGEST_NOTE);
    }
}
