use std::ops::Range;

use super::{index::Index, reader::Reader};
use crate::archive::{EntrySender, LedgerEntry, Query};

/// How many entries wait to be taken.
pub(super) const AHEAD: usize = 256;

/// How many deliveries are looked at before others get at the index.
const AT_A_TIME: usize = 4096;

/// Sends the ledger entry of each delivery that `query` selects, until all is sent or nobody listens. Blocks, and reads nothing.
pub(super) fn ledger(reader: &Reader, query: &Query, found: EntrySender<LedgerEntry>) {
    let index = reader.index();
    let positions = index.ask(|index| index.candidates(query));
    for from in positions.clone().step_by(AT_A_TIME) {
        let part = from..positions.end.min(from + AT_A_TIME);
        for line in index.ask(|index| entries(index, part, query)) {
            if !found.blocking_send(Ok(line)) {
                return;
            }
        }
    }
    found.finish();
}

fn entries(index: &Index, positions: Range<usize>, query: &Query) -> Vec<LedgerEntry> {
    index.selected(positions, query).map(|entry| entry.ledger_entry()).collect()
}
