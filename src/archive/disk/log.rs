use std::{path::PathBuf, sync::Arc};

use super::{
    batch::Batch,
    entry::Place,
    failure::Failure,
    medium::Medium,
    name::SegmentName,
    segment::{Segment, WriteError},
    unsynced,
    warc::Salt,
};
use crate::archive::ArchiveError;

/// The row of segments, of which the last is written.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) medium: Arc<dyn Medium>,
    pub(super) dir: PathBuf,
    /// A segment is sealed once it is longer than this.
    pub(super) segment_size: u64,
    pub(super) next_sequence: u64,
    pub(super) open: Option<Segment>,
    /// A full segment that is to be sealed.
    pub(super) full: Option<SegmentName>,
}

/// Why a batch was not archived.
#[derive(Debug)]
pub(super) struct NotArchived {
    failure: Failure,
    /// Whether a part of it may come back with a power failure.
    unsure: bool,
}

impl NotArchived {
    /// The outcome of a batch that was not written.
    pub(super) fn not_written(failure: Failure) -> Self {
        Self { failure, unsure: false }
    }

    /// The error for one of the callers.
    pub(super) fn error(&self) -> ArchiveError {
        let error = self.failure.error();
        if self.unsure { ArchiveError::Unsure(Box::new(error)) } else { error }
    }
}

impl Log {
    /// Makes a batch durable and says where each entry lies. After a failure the next batch starts afresh.
    ///
    /// A batch whose sync failed goes to a new segment at once; a batch that could not be written does not.
    pub(super) fn append(&mut self, batch: &mut Batch) -> Result<Vec<Place>, NotArchived> {
        let mut unsure = false;
        match self.append_once(batch) {
            Err(WriteError::Unsynced(failure)) => {
                let source = std::error::Error::source(&failure);
                tracing::error!(error = %failure, source, "a sync failed: continuing in a new segment");
                unsure = true;
                self.append_once(batch)
            }
            result => result,
        }
        .map_err(|error| {
            unsure |= !matches!(error, WriteError::Undone(_));
            let (WriteError::Undone(failure)
            | WriteError::Broken(failure)
            | WriteError::Unsynced(failure)) = error;
            let source = std::error::Error::source(&failure);
            let entries = batch.entries().len();
            tracing::error!(error = %failure, source, entries, "a batch was not archived");
            NotArchived { failure, unsure }
        })
    }

    /// Encodes what is in the batch so far, if it is known which segment it goes to.
    pub(super) fn encode_ahead(&self, batch: &mut Batch) {
        if let Some(segment) = &self.open {
            segment.encode_ahead(batch);
        }
    }

    fn append_once(&mut self, batch: &mut Batch) -> Result<Vec<Place>, WriteError> {
        let mut segment = match self.open.take() {
            Some(segment) => segment,
            None => self.create().map_err(WriteError::Undone)?,
        };
        match segment.append(batch) {
            Ok(places) => {
                if segment.durable_length() < self.segment_size {
                    self.open = Some(segment);
                } else {
                    self.full = Some(segment.name());
                }
                Ok(places)
            }
            Err(WriteError::Undone(failure)) => {
                self.open = Some(segment);
                Err(WriteError::Undone(failure))
            }
            Err(fault) => {
                self.abandon(&segment);
                Err(fault)
            }
        }
    }

    fn create(&mut self) -> Result<Segment, Failure> {
        let name = SegmentName { sequence: self.next_sequence, salt: Salt::random() };
        // Counted even if it fails: the file may be there.
        self.next_sequence = self.next_sequence.saturating_add(1);
        Segment::create(&*self.medium, &self.dir, name)
    }

    /// Seals the segment that the last batch has filled. Not before the index knows that batch: maintenance takes what is
    /// sealed for known, and would drop what it knows nothing of.
    pub(super) fn seal_full(&mut self) {
        let Some(name) = self.full.take() else { return };
        if let Err(failure) = seal(&*self.medium, &self.dir, name) {
            let source = std::error::Error::source(&failure);
            tracing::warn!(error = %failure, source, "a full segment keeps its name until the next start");
        }
    }

    /// Seals the segment that is being written, however short it is.
    pub(super) fn seal_now(&mut self) -> Result<(), Failure> {
        let Some(segment) = self.open.take_if(|segment| segment.durable_length() > 0) else {
            return Ok(());
        };
        // Should its new name not be durable: it is written no more, under either.
        seal(&*self.medium, &self.dir, segment.name())
    }

    /// A segment that must not be written any more. It is sealed when the archive is opened next; an empty one would
    /// be left behind at each attempt while the disk fails.
    fn abandon(&self, segment: &Segment) {
        if segment.durable_length() > 0 {
            if segment.shows_more_than_durable() {
                unsynced::mark(&*self.medium, &self.dir, segment.name());
            }
            return;
        }
        if let Err(error) = self.medium.remove(segment.path()) {
            tracing::warn!(path = %segment.path().display(), %error, "cannot remove an empty segment");
        }
    }
}

/// Gives a segment the name of one to which nothing is written any more.
pub(super) fn seal(
    medium: &dyn Medium,
    dir: &std::path::Path,
    name: SegmentName,
) -> Result<(), Failure> {
    let (open, sealed) = (name.open_path(dir), name.sealed_path(dir));
    medium.rename(&open, &sealed).map_err(Failure::to("rename", &open))?;
    medium.sync_dir(dir).map_err(Failure::to("sync", dir))
}
