//! Streams of the deliveries, and of the ledger entries, that a query selects.

use std::{io::Write, path::Path};

use super::reader::Reader;
use crate::{
    archive::{
        ArchiveError, Archived, Entries, EntrySender, LedgerEntry, Query, RemovedEntry,
        disk::{
            DiskArchive, background,
            format::{
                entry::Entry,
                name::SegmentName,
                warc::{Encoded, Salt, encode, warcinfo},
            },
            fs::file_system::Failure,
            index::{Cursor, Found},
        },
    },
    delivery::State,
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

/// Sends the ledger entry of each final delivery without a body. Blocks, but reads no segment.
pub(in crate::archive::disk) fn removed(reader: &Reader, sender: EntrySender<RemovedEntry>) {
    let mut from = Cursor::Start;
    while from != Cursor::End {
        let (entries, next) = match reader.retried(|index| index.removed_part(from)) {
            Ok(part) => part,
            Err(error) => {
                sender.blocking_send(Err(error));
                break;
            }
        };
        for entry in entries {
            if !sender.blocking_send(Ok(entry)) {
                return;
            }
        }
        from = next;
    }
    sender.finish();
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

impl DiskArchive {
    /// Writes the deliveries that `query` selects, with the latest outcome of each, as one WARC file, and returns their
    /// number. `into` is flushed at the end, but not synced. Records that cannot be read are skipped, and `unreadable`
    /// is called with the error. It is also called for damage that was found when the archive was opened, whether or
    /// not `query` would have selected the record.
    ///
    /// # Errors
    ///
    /// If writing to `into` fails. The output up to that point is also a valid WARC file.
    ///
    /// # Cancel safety
    ///
    /// The export continues if the future is dropped.
    ///
    /// ```
    /// use tower_inbox::archive::{DiskArchive, Query};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path();
    /// let archive = DiskArchive::open(path).await?;
    /// let file = std::fs::File::create(path.join("export.warc"))?;
    /// assert_eq!(archive.export(Query::all().pending(), file, |error| eprintln!("{error}")).await?, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn export(
        &self,
        query: Query,
        into: impl Write + Send + 'static,
        unreadable: impl FnMut(ArchiveError) + Send + 'static,
    ) -> Result<u64, ArchiveError> {
        let reader = self.reader();
        background::run(move || export(&reader, &query, into, unreadable)).await
    }

    /// Writes deliveries of any archive and their states to one WARC file, as [`export`](Self::export) does. Returns
    /// their number. Blocks while it writes.
    ///
    /// # Errors
    ///
    /// If writing fails. Deliveries that cannot be read are passed to `unreadable` and left out.
    pub async fn write_warc(
        mut found: Entries,
        mut into: impl Write,
        mut unreadable: impl FnMut(ArchiveError),
    ) -> Result<u64, ArchiveError> {
        let name = SegmentName { sequence: 1, salt: Salt::random() };
        let failed = || Failure::to("write", Path::new("the export"));
        write(&mut into, &warcinfo(name)).map_err(failed())?;
        let mut written = 0;
        while let Some(archived) = found.next().await {
            let archived = match archived {
                Ok(archived) => archived,
                Err(error) => {
                    unreadable(error);
                    continue;
                }
            };
            for entry in entries(archived) {
                write(&mut into, &encode(&entry, name.salt)).map_err(failed())?;
            }
            written += 1;
        }
        into.flush().map_err(failed())?;
        Ok(written)
    }
}

fn export(
    reader: &Reader,
    query: &Query,
    mut into: impl Write,
    mut unreadable: impl FnMut(ArchiveError),
) -> Result<u64, ArchiveError> {
    let name = SegmentName { sequence: 1, salt: Salt::random() };
    let failed = || Failure::to("write", Path::new("the export"));
    write(&mut into, &warcinfo(name)).map_err(failed())?;
    let (mut written, mut last) = (0, None);
    for one in reader.find(query) {
        let archived = match one? {
            Found::Damage(damage) => Err(reader.damage(damage)),
            Found::Entry(entry) => reader.get_found(&entry, &mut last),
        };
        let archived = archived.unwrap_or_else(|error| {
            unreadable(error);
            None
        });
        for entry in archived.into_iter().inspect(|_| written += 1).flat_map(entries) {
            write(&mut into, &encode(&entry, name.salt)).map_err(failed())?;
        }
    }
    into.flush().map_err(failed())?;
    Ok(written)
}

fn entries(archived: Archived) -> impl Iterator<Item = Entry> {
    let Archived { delivery, state } = archived;
    let of = delivery.id();
    let state = (state != State::NEW).then_some(Entry::State { of, state });
    std::iter::once(Entry::Delivery { delivery, leased: false }).chain(state)
}

fn write(into: &mut impl Write, record: &Encoded) -> std::io::Result<()> {
    record.slices().into_iter().try_for_each(|slice| into.write_all(slice))
}
