use super::reader::Reader;
use crate::archive::{
    ArchiveError, EntrySender, LedgerEntry, Query,
    disk::index::{Cursor, Found},
};

/// The maximum number of entries buffered for the consumer.
pub(in crate::archive::disk) const AHEAD: usize = 256;

/// Sends the ledger entry of each delivery that `query` selects, until all are sent or the receiver is dropped. Blocks,
/// but reads no segment.
pub(in crate::archive::disk) fn ledger(
    reader: &Reader,
    query: &Query,
    found: EntrySender<LedgerEntry>,
) {
    for one in reader.find(query) {
        let goes_on = match one {
            Ok(Found::Entry(entry)) => found.blocking_send(Ok(entry.ledger_entry())),
            Ok(Found::Damage(_)) => true,
            Err(error) => {
                found.blocking_send(Err(error));
                false
            }
        };
        if !goes_on {
            return;
        }
    }
    found.finish();
}

/// Returns the latest matching entries, latest first. Reads no more of the log than necessary.
pub(in crate::archive::disk) fn latest(
    reader: &Reader,
    query: &Query,
    most: usize,
) -> Result<Vec<LedgerEntry>, ArchiveError> {
    let (mut latest, mut before) = (Vec::new(), Cursor::End);
    while before != Cursor::Start && latest.len() < most {
        let part = reader.retried(|index| index.part_before(query, before))?;
        let entries = part.found.into_iter().rev().filter_map(|one| match one {
            Found::Entry(entry) => Some(entry.ledger_entry()),
            Found::Damage(_) => None,
        });
        latest.extend(entries.take(most - latest.len()));
        before = part.next;
    }
    Ok(latest)
}
