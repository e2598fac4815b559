use std::{io::Write, path::Path};

use super::reader::Reader;
use crate::{
    archive::{
        ArchiveError, Archived, Query,
        disk::{
            DiskArchive, background,
            format::{
                entry::Entry,
                name::SegmentName,
                warc::{Encoded, Salt, encode, warcinfo},
            },
            fs::failure::Failure,
            index::Found,
        },
    },
    delivery::State,
};

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
