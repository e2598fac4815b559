//! Streams of the deliveries, and of the ledger entries, that a query selects.

use super::reader::Reader;
use crate::archive::{
    ArchiveError, EntrySender, LedgerEntry, Query,
    disk::index::{Cursor, Found},
};

/// The maximum number of deliveries buffered for the consumer of a scan. Their bodies are in memory.
pub(in crate::archive::disk) const DELIVERIES_AHEAD: usize = 4;

/// The maximum number of ledger entries buffered for the consumer.
pub(in crate::archive::disk) const ENTRIES_AHEAD: usize = 256;

/// Sends the deliveries that `query` selects, and the damage, until all are sent or the receiver is dropped. Blocks.
pub(in crate::archive::disk) fn scan(reader: &Reader, query: &Query, sender: EntrySender) {
    let mut last = None;
    send(reader, query, sender, |found| match found {
        Found::Entry(entry) => match reader.get_found(&entry, &mut last) {
            // It may have been removed or settled in the meantime.
            Ok(Some(archived)) if query.selects(&archived) => Some(Ok(archived)),
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        },
        Found::Damage(damage) => Some(Err(reader.damage(damage))),
    });
}

/// Sends the ledger entry of each delivery that `query` selects, until all are sent or the receiver is dropped. Blocks,
/// but reads no segment.
pub(in crate::archive::disk) fn ledger(
    reader: &Reader,
    query: &Query,
    sender: EntrySender<LedgerEntry>,
) {
    send(reader, query, sender, |found| match found {
        Found::Entry(entry) => Some(Ok(entry.ledger_entry())),
        Found::Damage(_) => None,
    });
}

/// Sends what `item` returns for everything found. An error of the index ends the stream.
fn send<T>(
    reader: &Reader,
    query: &Query,
    sender: EntrySender<T>,
    mut item: impl FnMut(Found) -> Option<Result<T, ArchiveError>>,
) {
    for one in reader.find(query) {
        let (item, is_last) = match one {
            Ok(found) => (item(found), false),
            Err(error) => (Some(Err(error)), true),
        };
        if item.is_some_and(|item| !sender.blocking_send(item)) || is_last {
            return;
        }
    }
    sender.finish();
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
