use super::{
    index::{Cursor, Found},
    reader::Reader,
};
use crate::archive::{EntrySender, LedgerEntry, Query};

/// How many entries wait to be taken.
pub(super) const AHEAD: usize = 256;

/// Sends the ledger entry of each delivery that `query` selects, until all is sent or nobody listens. Blocks, and reads no
/// segment.
pub(super) fn ledger(reader: &Reader, query: &Query, found: EntrySender<LedgerEntry>) {
    let mut next = Cursor::Start;
    while next != Cursor::End {
        let part = match reader.part(query, next) {
            Ok(part) => part,
            Err(error) => {
                found.blocking_send(Err(error));
                return;
            }
        };
        for one in part.found {
            if let Found::Entry(entry) = one
                && !found.blocking_send(Ok(entry.ledger_entry()))
            {
                return;
            }
        }
        next = part.next;
    }
    found.finish();
}
