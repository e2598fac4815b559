use std::{
    io::{self, IoSlice},
    path::{Path, PathBuf},
};

use super::{
    batch::Batch,
    entry::Place,
    failure::Failure,
    file_io::write_all,
    medium::{Medium, MediumFile},
    name::SegmentName,
    warc::{Encoded, warcinfo},
};

/// The segment that is being written.
#[derive(Debug)]
pub(super) struct Segment {
    name: SegmentName,
    path: PathBuf,
    file: Box<dyn MediumFile>,
    /// Where the last durable batch ends.
    good: u64,
}

/// Why a batch was not made durable.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    /// Nothing of it is left: the segment can be written on.
    #[error("{0}")]
    Undone(#[source] Failure),
    /// A part of it may be left: nothing may be written behind it.
    #[error("{0}")]
    Broken(#[source] Failure),
    /// It was written but not synced. Another sync of the same file would succeed, and mean nothing: the system has
    /// forgotten what it could not write.
    #[error("{0}")]
    Unsynced(#[source] Failure),
}

impl Segment {
    /// Makes the file of a new segment, with a durable name.
    pub(super) fn create(
        medium: &dyn Medium,
        dir: &Path,
        name: SegmentName,
    ) -> Result<Self, Failure> {
        let path = name.open_path(dir);
        let file = medium.create(&path).map_err(Failure::to("create", &path))?;
        if let Err(error) = medium.sync_dir(dir) {
            // Whether this works or not: the next segment has another name.
            drop(medium.remove(&path));
            return Err(Failure::to("sync", dir)(error));
        }
        Ok(Self::resume(name, path, file, 0))
    }

    /// Goes on with a segment that is durable up to `good`, where it ends.
    pub(super) fn resume(
        name: SegmentName,
        path: PathBuf,
        file: Box<dyn MediumFile>,
        good: u64,
    ) -> Self {
        Self { name, path, file, good }
    }

    /// Writes the whole batch in one go and makes it durable; says where each entry lies.
    pub(super) fn append(&mut self, batch: &mut Batch) -> Result<Vec<Place>, WriteError> {
        let first = (self.good == 0).then(|| warcinfo(self.name));
        let rest = batch.records(self.name.salt);
        let records: Vec<_> = first.iter().chain(rest).collect();
        let mut places = self.places(&records);
        self.write(&records)?;
        self.sync()?;
        self.good = places.last().map_or(self.good, |place| place.offset + place.length);
        Ok(places.split_off(records.len() - rest.len()))
    }

    /// Encodes what will be written, while there is time.
    pub(super) fn encode_ahead(&self, batch: &mut Batch) {
        batch.records(self.name.salt);
    }

    pub(super) fn name(&self) -> SegmentName {
        self.name
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// How many bytes of it are durable.
    pub(super) fn durable_length(&self) -> u64 {
        self.good
    }

    /// Whether a batch that failed could not be cut off.
    pub(super) fn shows_more_than_durable(&self) -> bool {
        self.file.len().is_ok_and(|length| length > self.good)
    }

    fn places(&self, records: &[&Encoded]) -> Vec<Place> {
        let mut offset = self.good;
        let place = |record: &&Encoded| {
            let place = Place { segment: self.name, offset, length: record.len() };
            offset += place.length;
            place
        };
        records.iter().map(place).collect()
    }

    fn write(&self, records: &[&Encoded]) -> Result<(), WriteError> {
        let mut slices: Vec<_> =
            records.iter().flat_map(|record| record.slices()).map(IoSlice::new).collect();
        let Err(error) = write_all(&*self.file, &mut slices) else {
            return Ok(());
        };
        let failure = self.failure("write", error);
        match self.file.set_len(self.good) {
            Ok(()) => Err(WriteError::Undone(failure)),
            Err(error) => {
                tracing::error!(path = %self.path.display(), %error, "cannot cut a batch that failed");
                Err(WriteError::Broken(failure))
            }
        }
    }

    fn sync(&self) -> Result<(), WriteError> {
        let Err(error) = self.file.sync_data() else {
            return Ok(());
        };
        // What the cache still shows of the batch must not be taken for durable by whoever opens the archive next. If
        // the machine dies before this cut is durable, so does the cache.
        if let Err(error) = self.file.set_len(self.good) {
            tracing::error!(path = %self.path.display(), %error, "cannot cut a batch that was not synced");
        }
        Err(WriteError::Unsynced(self.failure("sync", error)))
    }

    fn failure(&self, action: &'static str, error: io::Error) -> Failure {
        Failure::to(action, &self.path)(error)
    }
}
