use std::{
    io::{self, IoSlice},
    path::{Path, PathBuf},
};

use super::log::Batch;
use crate::archive::disk::{
    format::{
        entry::Place,
        name::SegmentName,
        warc::{Encoded, warcinfo},
    },
    fs::{
        file_io::write_all,
        file_system::{DiskFile, Failure, FileSystem, Lock, is_reachable},
        lock, unsynced,
    },
};

/// The segment that is being written.
#[derive(Debug)]
pub(in crate::archive::disk) struct Segment {
    name: SegmentName,
    path: PathBuf,
    file: Box<dyn DiskFile>,
    /// The end of the last durable batch.
    good: u64,
}

/// The reason why a batch was not made durable.
#[derive(Debug, thiserror::Error)]
pub(in crate::archive::disk) enum WriteError {
    /// The batch was removed completely: the segment can still be written.
    #[error("{0}")]
    Undone(#[source] Failure),
    /// A part of the batch may be left: nothing may be written after it.
    #[error("{0}")]
    Broken(#[source] Failure),
    /// The batch was written but not synced. Another sync of the same file would succeed without effect, because the
    /// operating system has discarded the data that it could not write.
    #[error("{0}")]
    Unsynced(#[source] Failure),
    /// The batch was synced, but the directory of the archive is not at its path. The batch was truncated: the segment
    /// can be written once the directory is back.
    #[error("{0}")]
    Detached(#[source] Failure),
    /// The batch was synced, but its file has lost its name: the segment was removed.
    #[error("{0}")]
    Removed(#[source] Failure),
}

impl WriteError {
    /// Returns whether the batch can be written to another file immediately.
    pub(in crate::archive::disk) fn is_of_segment(&self) -> bool {
        matches!(self, Self::Unsynced(_) | Self::Removed(_))
    }

    /// Returns whether the segment can still be written.
    pub(in crate::archive::disk) fn spares_segment(&self) -> bool {
        matches!(self, Self::Undone(_) | Self::Detached(_))
    }

    pub(in crate::archive::disk) fn into_failure(self) -> Failure {
        match self {
            Self::Undone(failure)
            | Self::Broken(failure)
            | Self::Unsynced(failure)
            | Self::Detached(failure)
            | Self::Removed(failure) => failure,
        }
    }
}

/// The location of an archive, and the lock that shows that it is still there.
#[derive(Clone, Copy)]
pub(in crate::archive::disk) struct Location<'a> {
    pub(in crate::archive::disk) fs: &'a dyn FileSystem,
    pub(in crate::archive::disk) dir: &'a Path,
    pub(in crate::archive::disk) lock: &'a Lock,
}

impl Segment {
    /// Creates the file of a new segment, with a durable name.
    pub(in crate::archive::disk) fn create(
        fs: &dyn FileSystem,
        dir: &Path,
        name: SegmentName,
    ) -> Result<Self, Failure> {
        let path = name.open_path(dir);
        let file = fs.create(&path).map_err(Failure::to("create", &path))?;
        if let Err(error) = fs.sync_dir(dir) {
            // A failure is ignored, because the next segment then has another name.
            drop(fs.remove(&path));
            return Err(Failure::to("sync", dir)(error));
        }
        Ok(Self::resume(name, path, file, 0))
    }

    /// Resumes a segment that is durable up to `good`, its end.
    pub(in crate::archive::disk) fn resume(
        name: SegmentName,
        path: PathBuf,
        file: Box<dyn DiskFile>,
        good: u64,
    ) -> Self {
        Self { name, path, file, good }
    }

    /// Writes the whole batch at once, makes it durable, and verifies that the file is still reachable by its name.
    /// Returns the location of each entry.
    pub(in crate::archive::disk) fn append(
        &mut self,
        batch: &mut Batch,
        location: Location<'_>,
    ) -> Result<Vec<Place>, WriteError> {
        let first = (self.good == 0).then(|| warcinfo(self.name));
        let rest = batch.records(self.name.salt);
        let records: Vec<_> = first.iter().chain(rest).collect();
        let mut places = self.places(&records);
        self.write(&records)?;
        self.sync()?;
        self.check_reachable(location)?;
        self.good = places.last().map_or(self.good, |place| place.offset + place.length);
        Ok(places.split_off(records.len() - rest.len()))
    }

    /// Writes the durable data to another file under the same name. A removed file can be read as long as it is open.
    pub(in crate::archive::disk) fn restore(
        &self,
        fs: &dyn FileSystem,
        dir: &Path,
    ) -> Result<Self, Failure> {
        let file = unsynced::rewrite(fs, dir, self.name, &*self.file, self.good)?;
        Ok(Self::resume(self.name, self.path.clone(), file, self.good))
    }

    /// Encodes entries ahead of the write.
    pub(in crate::archive::disk) fn encode_ahead(&self, batch: &mut Batch) {
        batch.records(self.name.salt);
    }

    pub(in crate::archive::disk) fn name(&self) -> SegmentName {
        self.name
    }

    pub(in crate::archive::disk) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the number of durable bytes.
    pub(in crate::archive::disk) fn durable_length(&self) -> u64 {
        self.good
    }

    /// Returns whether a failed batch could not be truncated.
    pub(in crate::archive::disk) fn shows_more_than_durable(&self) -> bool {
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
        Err(self.cut(failure, WriteError::Undone))
    }

    fn sync(&self) -> Result<(), WriteError> {
        let Err(error) = self.file.sync_data() else {
            return Ok(());
        };
        // Otherwise the process that opens the archive next would take the cached part of the batch for durable. If the
        // machine crashes before this truncation is durable, the cache is lost too.
        drop(self.file.set_len(self.good));
        Err(WriteError::Unsynced(self.failure("sync", error)))
    }

    /// Checks that the file is still at its path. A sync succeeds even after the file was removed, or its directory was
    /// removed, renamed or replaced; the written data is then lost or unreachable.
    fn check_reachable(&self, location: Location<'_>) -> Result<(), WriteError> {
        let Location { fs, dir, lock } = location;
        if is_reachable(fs, &self.path, &*self.file) {
            return Ok(());
        }
        if let Err(failure) = lock::check(fs, dir, lock) {
            return Err(self.cut(failure, WriteError::Detached));
        }
        let reason = "the segment was removed, renamed or replaced while it was written";
        Err(WriteError::Removed(self.failure("find", io::Error::other(reason))))
    }

    /// Truncates a failed batch.
    fn cut(&self, failure: Failure, undone: impl FnOnce(Failure) -> WriteError) -> WriteError {
        match self.file.set_len(self.good) {
            Ok(()) => undone(failure),
            Err(_) => WriteError::Broken(failure),
        }
    }

    fn failure(&self, action: &'static str, error: io::Error) -> Failure {
        Failure::to(action, &self.path)(error)
    }
}
