use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::listing::Listing;
use crate::{
    archive::{
        ArchiveError, Archived, Query,
        disk::{
            format::{
                compressed::{decompress, is_compressed},
                entry::Place,
                name::{SegmentName, SegmentState, check_formats},
                warc::read_delivery,
            },
            fs::{
                file_io::read_full,
                file_system::{DiskFile, Failure, FileSystem},
            },
            health::Condition,
            index::{Damage, DeliveryEntry, Found, Index, SharedIndex, each_found},
            maintain::inventory::{inspect, report},
            recovery::{Loading, load},
            write::{command::Command, queue::Queue},
        },
    },
    delivery::{Delivery, DeliveryId},
};

/// Reads deliveries. Independent of the writer.
#[derive(Debug)]
pub(in crate::archive::disk) struct Reader {
    pub(in crate::archive::disk) fs: Arc<dyn FileSystem>,
    pub(in crate::archive::disk) dir: PathBuf,
    /// The most recently read index. Replaced after each refresh from the files of a writer in another process.
    pub(in crate::archive::disk) latest: RwLock<Arc<SharedIndex>>,
    /// The queue of the writer; `None` if the archive is open read-only, and another process may be writing.
    pub(in crate::archive::disk) queue: Option<Arc<Queue>>,
    pub(in crate::archive::disk) condition: Arc<Condition>,
}

impl Reader {
    /// Queries the index, holding the lock only for the query.
    pub(in crate::archive::disk) fn ask<T>(&self, question: impl FnOnce(&Index) -> T) -> T {
        self.index().read(question)
    }

    /// Returns the most recently read index.
    pub(in crate::archive::disk) fn index(&self) -> Arc<SharedIndex> {
        Arc::clone(&self.latest.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the deliveries with a body that `query` selects, and the damage, in log order. The lock on the index is
    /// released in between. After an error, the iteration ends.
    pub(in crate::archive::disk) fn find(
        &self,
        query: &Query,
    ) -> impl Iterator<Item = Result<Found, ArchiveError>> {
        each_found(move |from| self.retried(|index| index.part(query, from)))
    }

    /// Queries the index. If another process replaces its index files during the query, the index is read again.
    pub(in crate::archive::disk) fn retried<T>(
        &self,
        question: impl Fn(&Index) -> Result<T, Failure>,
    ) -> Result<T, ArchiveError> {
        let start = Instant::now();
        loop {
            match self.ask(&question) {
                Err(failure)
                    if self.queue.is_none()
                        && failure.is_missing()
                        && start.elapsed() < PATIENCE =>
                {
                    self.refresh()?;
                }
                answer => return Ok(answer?),
            }
        }
    }

    /// Reads one delivery; `None` if it does not exist or was removed. The most recently read segment is kept open in
    /// `last`.
    ///
    /// A segment may be rewritten between the index lookup and the read. If the record is not at the indexed location,
    /// the lookup is repeated.
    pub(in crate::archive::disk) fn get(
        &self,
        id: DeliveryId,
        last: &mut LastFile,
    ) -> Result<Option<Archived>, ArchiveError> {
        let mut tried = None;
        loop {
            let known = self.retried(|index| {
                let Some(entry) = index.get(id)? else { return Ok(None) };
                // A segment is replaced under the lock on the index. If it is opened under that lock, the file is the
                // one that the index describes.
                let file = entry
                    .place
                    .filter(|_| tried.is_some())
                    .and_then(|place| Some((place.segment, self.open(place.segment).ok()?)));
                Ok(Some((entry.place, entry.state, file)))
            })?;
            let Some((Some(place), state, file)) = known else { return Ok(None) };
            if tried.is_some() {
                *last = file;
            }
            match self.read(id, place, last) {
                Ok(delivery) => return Ok(Some(Archived::new(delivery, state))),
                Err(error) if tried == Some(place) => {
                    self.report(&error, id, place);
                    return Err(error);
                }
                Err(_) => {
                    *last = None;
                    tried = Some(place);
                    self.refresh()?;
                }
            }
        }
    }

    /// Reports damage, so that no delivery is treated as a repeat of a damaged one. The writer receives the report
    /// before any later append.
    fn report(&self, error: &ArchiveError, id: DeliveryId, place: Place) {
        if !matches!(error, ArchiveError::Damaged { .. }) {
            return;
        }
        self.condition.note_damage(place.segment, place.offset);
        if let Some(queue) = &self.queue {
            // A closed archive appends nothing.
            drop(queue.push(Command::Unreadable { id, place }));
        }
    }

    /// Returns the error for damage that was found when the archive was opened.
    pub(in crate::archive::disk) fn damage(&self, damage: Damage) -> ArchiveError {
        ArchiveError::Damaged {
            path: self.path_now(damage.segment),
            offset: damage.offset,
            reason: "no record could be read there",
        }
    }

    /// Reads a delivery that was found; `None` if it was removed in the meantime.
    pub(in crate::archive::disk) fn get_found(
        &self,
        entry: &DeliveryEntry,
        last: &mut LastFile,
    ) -> Result<Option<Archived>, ArchiveError> {
        let Some(place) = entry.place else { return Ok(None) };
        let now = self.ask(|index| index.at(entry.position));
        match now {
            Ok(Some(now)) if now.place == entry.place && now.id == entry.id => {
                match self.read(entry.id, place, last) {
                    Ok(delivery) => Ok(Some(Archived::new(delivery, now.state))),
                    Err(_) => self.get(entry.id, last),
                }
            }
            _ => self.get(entry.id, last),
        }
    }

    /// Rereads the index. If another process writes, its changes are visible only in the files.
    fn refresh(&self) -> Result<(), ArchiveError> {
        if self.queue.is_none() {
            let index = Arc::new(SharedIndex::new(look(&self.fs, &self.dir)?));
            *self.latest.write().unwrap_or_else(PoisonError::into_inner) = index;
        }
        Ok(())
    }

    fn read(
        &self,
        id: DeliveryId,
        place: Place,
        last: &mut LastFile,
    ) -> Result<Delivery, ArchiveError> {
        let failed = |source| ArchiveError::Io {
            action: "read",
            path: self.path_now(place.segment),
            source,
        };
        let damaged = |reason| ArchiveError::Damaged {
            path: self.path_now(place.segment),
            offset: place.offset,
            reason,
        };
        let bytes = self.read_record(place, last).map_err(failed)?;
        let record = unpacked(bytes).map_err(|_| damaged("the record cannot be unpacked"))?;
        let delivery = read_delivery(&record, place.segment.salt).map_err(damaged)?;
        if delivery.id() == id { Ok(delivery) } else { Err(damaged("another delivery lies there")) }
    }

    /// Reads a record of a segment.
    pub(in crate::archive::disk) fn record(
        &self,
        place: Place,
        last: &mut LastFile,
    ) -> io::Result<Bytes> {
        unpacked(self.read_record(place, last)?)
    }

    fn read_record(&self, place: Place, last: &mut LastFile) -> io::Result<Bytes> {
        let file = match last {
            Some((name, file)) if *name == place.segment => file,
            _ => &mut last.insert((place.segment, self.open(place.segment)?)).1,
        };
        let length = usize::try_from(place.length).map_err(io::Error::other)?;
        let mut record = vec![0; length];
        let read = read_full(&**file, &mut record, place.offset)?;
        record.truncate(read);
        Ok(record.into())
    }

    fn open(&self, name: SegmentName) -> io::Result<Box<dyn DiskFile>> {
        self.open_form(name).map(|(file, _)| file)
    }

    /// Opens a segment, and returns its form. It may be sealed, and therefore renamed, at any moment. If it exists in two
    /// forms, the later one is effective, and the other is about to be removed. If it is renamed during the search, the
    /// next search finds it.
    pub(in crate::archive::disk) fn open_form(
        &self,
        name: SegmentName,
    ) -> io::Result<(Box<dyn DiskFile>, SegmentState)> {
        let missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        let mut result = Err(io::ErrorKind::NotFound.into());
        for segment_state in
            SegmentState::ALL.into_iter().rev().cycle().take(3 * SegmentState::ALL.len())
        {
            if result.as_ref().is_err_and(missing) {
                let file = self.fs.open_read(&name.path(&self.dir, segment_state));
                result = file.map(|file| (file, segment_state));
            }
        }
        result
    }

    /// Returns the current path of the segment file, for error messages.
    fn path_now(&self, name: SegmentName) -> PathBuf {
        let paths = SegmentState::ALL.map(|segment_state| name.path(&self.dir, segment_state));
        let there = paths.into_iter().find(|path| self.fs.open_read(path).is_ok());
        there.unwrap_or_else(|| name.sealed_path(&self.dir))
    }
}

/// The bytes of a record, which may be compressed.
fn unpacked(bytes: Bytes) -> io::Result<Bytes> {
    if is_compressed(&bytes) { Ok(decompress(&bytes)?.into()) } else { Ok(bytes) }
}

/// The most recently read segment.
pub(in crate::archive::disk) type LastFile = Option<(SegmentName, Box<dyn DiskFile>)>;

/// How long a directory is reread while a writer renames files during the read.
pub(in crate::archive::disk) const PATIENCE: Duration = Duration::from_secs(10);

/// Reads a directory that another process may write to: changes nothing, and loads the intact records.
pub(in crate::archive::disk) fn look(
    fs: &Arc<dyn FileSystem>,
    dir: &Path,
) -> Result<Index, ArchiveError> {
    let start = Instant::now();
    loop {
        match look_once(fs, dir, true) {
            // A segment was renamed between the listing and the read.
            Err(error) if is_missing(&error) && start.elapsed() < PATIENCE => {
                // If the directory itself is missing, waiting does not help.
                fs.list(dir).map_err(Failure::to("list", dir))?;
            }
            // A damaged index file must cost no more than the time to read the segments.
            Err(ArchiveError::Io { source, .. }) if source.kind() == io::ErrorKind::InvalidData => {
                return look_once(fs, dir, false);
            }
            result => return result,
        }
    }
}

fn look_once(
    fs: &Arc<dyn FileSystem>,
    dir: &Path,
    index_files: bool,
) -> Result<Index, ArchiveError> {
    let mut index = Index::default();
    let segments = Listing::of_dir(&**fs, dir)?.segments;
    check_formats(&**fs, dir, &segments)?;
    let loading = Loading { index_files, filters: false };
    for (name, segment_state) in segments {
        let path = name.path(dir, segment_state);
        let file = fs.open_read(&path).map_err(Failure::to("open", &path))?;
        load(fs, dir, (name, segment_state), &*file, loading, &mut index)?;
    }
    let (faults, _) = inspect(&**fs, dir)?;
    report(&faults, &mut index);
    Ok(index)
}

fn is_missing(error: &ArchiveError) -> bool {
    matches!(error, ArchiveError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
}
