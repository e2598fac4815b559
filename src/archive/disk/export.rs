use std::{io::Write, path::Path};

use super::{
    DiskArchive, background,
    entry::Entry,
    failure::Failure,
    index::Kept,
    name::SegmentName,
    reader::Reader,
    warc::{Encoded, Salt, encode, warcinfo},
};
use crate::archive::{ArchiveError, Archived, Query};

impl DiskArchive {
    /// Writes what `query` selects, with the latest outcome of each, as one WARC file, and says how many deliveries that
    /// were. `into` is flushed at the end, and not synced.
    ///
    /// # Errors
    ///
    /// If a delivery cannot be read, or `into` cannot be written. What was written until then is a WARC file as well.
    ///
    /// # Cancel safety
    ///
    /// It goes on if the future is dropped.
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
    /// assert_eq!(archive.export(Query::all().pending(), file).await?, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn export(
        &self,
        query: Query,
        into: impl Write + Send + 'static,
    ) -> Result<u64, ArchiveError> {
        let reader = self.reader();
        background::run(move || export(&reader, &query, into)).await
    }
}

fn export(reader: &Reader, query: &Query, mut into: impl Write) -> Result<u64, ArchiveError> {
    let name = SegmentName { sequence: 1, salt: Salt::random() };
    let failed = || Failure::to("write", Path::new("the export"));
    write(&mut into, &warcinfo(name)).map_err(failed())?;
    let (mut written, mut last) = (0, None);
    let positions = reader.index().positions();
    for position in positions {
        let selected = |kept: Kept<'_>| kept.is_selected(query).then_some(kept.id);
        let Some(id) = reader.index().at(position).and_then(selected) else { continue };
        if let Some(archived) = reader.get(id, &mut last)? {
            for entry in entries(archived) {
                write(&mut into, &encode(&entry, name.salt)).map_err(failed())?;
            }
            written += 1;
        }
    }
    into.flush().map_err(failed())?;
    Ok(written)
}

fn entries(archived: Archived) -> impl Iterator<Item = Entry> {
    let Archived { delivery, outcome } = archived;
    let of = delivery.id();
    let outcome = outcome.map(|outcome| Entry::Outcome { of, outcome });
    std::iter::once(Entry::Delivery(delivery)).chain(outcome)
}

fn write(into: &mut impl Write, record: &Encoded) -> std::io::Result<()> {
    record.slices().into_iter().try_for_each(|slice| into.write_all(slice))
}
