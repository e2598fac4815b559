use std::{io, path::PathBuf, sync::Arc, time::Duration};

use super::segment::{Location, Segment, WriteError};
use crate::{
    archive::{
        ArchiveError,
        disk::{
            format::{
                entry::{Entry, Place},
                name::SegmentName,
                warc::{Encoded, Salt, encode},
            },
            fs::{
                file_system::{Failure, FileSystem, Lock},
                lock, unsynced,
            },
        },
    },
    log_limit::LogLimit,
};

/// Failed batches are logged at most once in this period.
const LOG_PERIOD: Duration = Duration::from_secs(10);

/// The sequence of segments; the last is written.
#[derive(Debug)]
pub(in crate::archive::disk) struct Log {
    pub(in crate::archive::disk) fs: Arc<dyn FileSystem>,
    pub(in crate::archive::disk) dir: PathBuf,
    /// A segment is sealed once it reaches this length, in bytes.
    pub(in crate::archive::disk) segment_size: u64,
    pub(in crate::archive::disk) next_sequence: u64,
    /// An unused name: no file has it, and no file with that name ever held durable data.
    spare: Option<SegmentName>,
    pub(in crate::archive::disk) open: Option<Segment>,
    /// A full segment that must be sealed.
    pub(in crate::archive::disk) full: Option<SegmentName>,
    failures: LogLimit,
    /// The limit for logging failed cleanups.
    leftovers: LogLimit,
}

/// The error of a batch that was not archived.
#[derive(Debug)]
pub(in crate::archive::disk) struct NotArchived {
    failure: Failure,
    /// Whether a part of the batch may reappear after a power failure.
    unsure: bool,
}

impl NotArchived {
    /// Returns the error for one of the callers.
    pub(in crate::archive::disk) fn error(&self) -> ArchiveError {
        let error = self.failure.error();
        if self.unsure { ArchiveError::Unsure(Box::new(error)) } else { error }
    }
}

impl Log {
    pub(in crate::archive::disk) fn new(
        fs: Arc<dyn FileSystem>,
        dir: PathBuf,
        segment_size: u64,
    ) -> Self {
        Self {
            fs,
            dir,
            segment_size,
            next_sequence: 1,
            spare: None,
            open: None,
            full: None,
            failures: LogLimit::new(1, LOG_PERIOD),
            leftovers: LogLimit::new(1, LOG_PERIOD),
        }
    }

    /// Makes a batch durable, and returns the location of each entry. After a failure, the next batch starts in a clean
    /// state.
    ///
    /// A batch whose sync failed is written to a new segment immediately, and a removed segment is rewritten. A batch
    /// that could not be written is not retried. If the directory is not at its path, or the lock file is no longer the
    /// one this process locked, nothing is archived.
    pub(in crate::archive::disk) fn append(
        &mut self,
        batch: &mut Batch,
        lock: &Lock,
    ) -> Result<Vec<Place>, NotArchived> {
        let entries = batch.entries().len();
        self.check_place(lock, entries)?;
        let mut unsure = false;
        match self.append_once(batch, lock) {
            Err(error) if error.is_of_segment() => {
                unsure = true;
                let first = error.into_failure();
                self.append_once(batch, lock).inspect(|_| self.continued(&first))
            }
            result => result,
        }
        .map_err(|error| {
            unsure |= !matches!(error, WriteError::Undone(_));
            let error = NotArchived { failure: error.into_failure(), unsure };
            self.failed(error, entries)
        })
    }

    /// Returns an error if the directory is not at its path, or the lock file is no longer the one this process locked.
    /// `entries` is logged.
    pub(in crate::archive::disk) fn check_place(
        &self,
        lock: &Lock,
        entries: usize,
    ) -> Result<(), NotArchived> {
        let checked = lock::check(&*self.fs, &self.dir, lock);
        checked.map_err(|failure| self.failed(NotArchived { failure, unsure: false }, entries))
    }

    fn failed(&self, error: NotArchived, entries: usize) -> NotArchived {
        if let Some(suppressed) = self.failures.admit() {
            let NotArchived { failure, unsure } = &error;
            let source = std::error::Error::source(failure);
            tracing::error!(error = %failure, source, entries, unsure, suppressed, "a batch was not archived");
        }
        error
    }

    /// Logs that a batch became durable in a second file after the first failed.
    fn continued(&self, failure: &Failure) {
        if let Some(suppressed) = self.failures.admit() {
            let source = std::error::Error::source(failure);
            tracing::error!(error = %failure, source, suppressed, "a segment failed: continuing in a new file");
        }
    }

    /// Encodes the current entries of the batch, if their target segment is known.
    pub(in crate::archive::disk) fn encode_ahead(&self, batch: &mut Batch) {
        if let Some(segment) = &self.open {
            segment.encode_ahead(batch);
        }
    }

    fn append_once(&mut self, batch: &mut Batch, lock: &Lock) -> Result<Vec<Place>, WriteError> {
        let mut segment = match self.open.take() {
            Some(segment) => segment,
            None => self.create().map_err(WriteError::Undone)?,
        };
        let location = Location { fs: &*self.fs, dir: &self.dir, lock };
        match segment.append(batch, location) {
            Ok(places) => {
                if segment.durable_length() < self.segment_size {
                    self.open = Some(segment);
                } else {
                    self.full = Some(segment.name());
                }
                Ok(places)
            }
            Err(error) => {
                if error.spares_segment() {
                    self.open = Some(segment);
                } else if let WriteError::Removed(_) = error {
                    self.open = self.restore(&segment);
                } else {
                    self.abandon(&segment);
                }
                Err(error)
            }
        }
    }

    /// Creates the next segment. Failed attempts reuse the name, because a skipped number would look like a missing
    /// segment.
    fn create(&mut self) -> Result<Segment, Failure> {
        let name = self.spare.take().unwrap_or_else(|| {
            let name = SegmentName { sequence: self.next_sequence, salt: Salt::random() };
            self.next_sequence = self.next_sequence.saturating_add(1);
            name
        });
        let created = Segment::create(&*self.fs, &self.dir, name);
        if created.is_err() {
            self.keep_name(name);
        }
        created
    }

    /// Keeps a name for the next segment, unless a file with that name could not be removed.
    fn keep_name(&mut self, name: SegmentName) {
        if self.is_free(name) {
            self.spare = Some(name);
        }
    }

    /// Returns whether no file has this name.
    fn is_free(&self, name: SegmentName) -> bool {
        let open = self.fs.open_read(&name.open_path(&self.dir));
        open.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    }

    /// Seals the segment that the last batch has filled. Must run after the index has recorded that batch: maintenance
    /// assumes that sealed segments are fully indexed, and drops records that are not in the index.
    pub(in crate::archive::disk) fn seal_full(&mut self) {
        let Some(name) = self.full.take() else { return };
        if let Err(failure) = seal(&*self.fs, &self.dir, name) {
            let source = std::error::Error::source(&failure);
            tracing::warn!(error = %failure, source, "a full segment keeps its name until the next start");
        }
    }

    /// Seals the active segment, however short it is.
    pub(in crate::archive::disk) fn seal_now(&mut self) -> Result<(), Failure> {
        let Some(segment) = self.open.take_if(|segment| segment.durable_length() > 0) else {
            return Ok(());
        };
        // Even if the new name does not become durable, the segment is no longer written under either name.
        seal(&*self.fs, &self.dir, segment.name())
    }

    /// Rewrites a segment whose file was removed, unless another file has its name now.
    fn restore(&mut self, segment: &Segment) -> Option<Segment> {
        if !self.is_free(segment.name()) {
            return None;
        }
        if segment.durable_length() == 0 {
            self.spare = Some(segment.name());
            return None;
        }
        let restored = segment.restore(&*self.fs, &self.dir);
        if let Err(failure) = &restored
            && let Some(suppressed) = self.leftovers.admit()
        {
            let (path, source) = (segment.path().display(), std::error::Error::source(failure));
            tracing::error!(%path, error = %failure, source, suppressed, "a segment was removed, and cannot be restored");
        }
        restored.ok()
    }

    /// Abandons a segment that must no longer be written. It is sealed at the next open. An empty one is removed,
    /// because otherwise each attempt would leave one behind while the disk fails.
    fn abandon(&mut self, segment: &Segment) {
        if segment.durable_length() > 0 {
            if segment.shows_more_than_durable() {
                unsynced::mark(&*self.fs, &self.dir, segment.name());
            }
            return;
        }
        if let Err(error) = self.fs.remove(segment.path())
            && let Some(suppressed) = self.leftovers.admit()
        {
            let path = segment.path().display();
            tracing::warn!(%path, %error, suppressed, "cannot remove an empty segment");
        }
        self.keep_name(segment.name());
    }
}

/// Renames a segment to its sealed name.
pub(in crate::archive::disk) fn seal(
    fs: &dyn FileSystem,
    dir: &std::path::Path,
    name: SegmentName,
) -> Result<(), Failure> {
    let (open, sealed) = (name.open_path(dir), name.sealed_path(dir));
    fs.rename(&open, &sealed).map_err(Failure::to("rename", &open))?;
    fs.sync_dir(dir).map_err(Failure::to("sync", dir))
}

/// Entries that are written and synced together. Some are already encoded.
#[derive(Debug, Default)]
pub(in crate::archive::disk) struct Batch {
    entries: Vec<Entry>,
    records: Vec<Encoded>,
    /// The salt of the segment that `records` is encoded for.
    salt: Option<Salt>,
}

impl Batch {
    pub(in crate::archive::disk) fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    pub(in crate::archive::disk) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(in crate::archive::disk) fn into_entries(self) -> Vec<Entry> {
        self.entries
    }

    /// Returns the records of all entries for a segment with this salt. Reuses records that are already encoded for it.
    pub(in crate::archive::disk) fn records(&mut self, salt: Salt) -> &[Encoded] {
        if self.salt.replace(salt) != Some(salt) {
            self.records.clear();
        }
        let rest = self.entries.iter().skip(self.records.len());
        self.records.extend(rest.map(|entry| encode(entry, salt)));
        &self.records
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::disk::{
        fs::real_disk::RealDisk,
        tests::{bytes, delivery, logged},
    };

    #[cfg(unix)]
    #[test]
    fn failed_batches_are_logged_once_and_the_others_are_counted() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("inbox");
        std::fs::create_dir(&dir).unwrap();
        let lock = lock::acquire(&RealDisk, &dir, Duration::ZERO).unwrap();
        let mut log = Log::new(Arc::new(RealDisk), dir.clone(), 1 << 20);
        log.failures = LogLimit::new(1, Duration::from_secs(60 * 60));
        std::fs::remove_dir_all(&dir).unwrap();
        let text = logged(|| {
            for _ in 0..5 {
                let mut batch = Batch::default();
                batch.push(Entry::Delivery { delivery: delivery("/m", b"a"), leased: false });
                assert!(log.append(&mut batch, &lock).is_err());
            }
        });
        assert_eq!(text.lines().count(), 1, "{text}");
        let parts = ["ERROR", "a batch was not archived", "removed or renamed", "suppressed=0"];
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    }

    #[test]
    fn record_encoded_ahead_is_written_unless_it_was_for_another_segment() {
        let entries = ["a", "b"].map(|body| Entry::Delivery {
            delivery: delivery("/m", body.as_bytes()),
            leased: false,
        });
        let encoded = |salt| bytes(&entries.clone().map(|entry| encode(&entry, salt)));
        let (one, other) = (Salt::random(), Salt::random());
        let mut batch = Batch::default();
        for entry in entries.clone() {
            batch.push(entry);
            batch.records(one);
        }
        assert_eq!(bytes(batch.records(one)), encoded(one));
        assert_eq!(bytes(batch.records(other)), encoded(other));
    }
}
