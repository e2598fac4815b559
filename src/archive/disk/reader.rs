use std::{
    io,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::Instant,
};

use bytes::Bytes;

use super::{
    command::Command,
    entry::Place,
    failure::Failure,
    file_io::read_full,
    health::Condition,
    index::{Damage, DeliveryEntry, Found, Index, each_found},
    medium::{Medium, MediumFile},
    name::{Form, SegmentName},
    packed::{is_packed, unpack},
    queue::Queue,
    read_only::{PATIENCE, look},
    shared::SharedIndex,
    warc::read_delivery,
};
use crate::{
    archive::{ArchiveError, Archived, Query},
    delivery::{Delivery, DeliveryId},
};

/// Reads deliveries back. Needs nothing of the writer.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) medium: Arc<dyn Medium>,
    pub(super) dir: PathBuf,
    /// The index as it was read last. It is another one after each look at what a writer elsewhere has done.
    pub(super) latest: RwLock<Arc<SharedIndex>>,
    /// To the writer; None if the archive is open read-only, and another process may be writing.
    pub(super) queue: Option<Arc<Queue>>,
    pub(super) condition: Arc<Condition>,
}

impl Reader {
    /// Asks the index, and holds others up for no longer.
    pub(super) fn ask<T>(&self, question: impl FnOnce(&Index) -> T) -> T {
        self.index().read(question)
    }

    /// The index as it was read last.
    pub(super) fn index(&self) -> Arc<SharedIndex> {
        Arc::clone(&self.latest.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The deliveries with a body that `query` selects, and the damage, in the order of the log. Others get at the index
    /// in between. An error is the last item.
    pub(super) fn find(&self, query: &Query) -> impl Iterator<Item = Result<Found, ArchiveError>> {
        each_found(move |from| self.retried(|index| index.part(query, from)))
    }

    /// Asks the index. Where another process writes, its index files may be replaced meanwhile: then the index is read
    /// again.
    pub(super) fn retried<T>(
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

    /// Reads one delivery; `None` if there is none, or it was removed. The segment that was read last is kept open in
    /// `last`.
    ///
    /// A segment may be written anew between a look at the index and at the file. What is not where the index said is
    /// looked up once more.
    pub(super) fn get(
        &self,
        id: DeliveryId,
        last: &mut LastFile,
    ) -> Result<Option<Archived>, ArchiveError> {
        let mut tried = None;
        loop {
            let known = self.retried(|index| {
                let Some(entry) = index.get(id)? else { return Ok(None) };
                // A segment takes its place under the lock of the index. Opened under that lock, the file is the one
                // that the index describes.
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

    /// What is damaged must not be a reason to call a delivery a repeat. The writer hears of it before any append that
    /// follows.
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

    /// The error for damage that was found when the archive was opened.
    pub(super) fn damage(&self, damage: Damage) -> ArchiveError {
        ArchiveError::Damaged {
            path: self.path_now(damage.segment),
            offset: damage.offset,
            reason: "no record could be read there",
        }
    }

    /// Reads a delivery that was found; None if it was removed in the meantime.
    pub(super) fn get_found(
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

    /// Where another process writes, only the files tell what it did.
    fn refresh(&self) -> Result<(), ArchiveError> {
        if self.queue.is_none() {
            let index = Arc::new(SharedIndex::new(look(&self.medium, &self.dir)?));
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
        let record = if is_packed(&bytes) {
            unpack(&bytes).map_err(|_| damaged("the record cannot be unpacked"))?.into()
        } else {
            bytes
        };
        let delivery = read_delivery(&record, place.segment.salt).map_err(damaged)?;
        if delivery.id() == id { Ok(delivery) } else { Err(damaged("another delivery lies there")) }
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

    /// A segment may be sealed, and so renamed, at any moment. Of two forms the later counts: the other is about to be
    /// removed. One that got another name behind the search is found by the next.
    fn open(&self, name: SegmentName) -> io::Result<Box<dyn MediumFile>> {
        let missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        let mut result = Err(io::ErrorKind::NotFound.into());
        for form in Form::ALL.into_iter().rev().cycle().take(3 * Form::ALL.len()) {
            if result.as_ref().is_err_and(missing) {
                result = self.medium.open_read(&name.path(&self.dir, form));
            }
        }
        result
    }

    /// The name that the file of a segment has at the moment, for those who will look at it.
    fn path_now(&self, name: SegmentName) -> PathBuf {
        let paths = Form::ALL.map(|form| name.path(&self.dir, form));
        let there = paths.into_iter().find(|path| self.medium.open_read(path).is_ok());
        there.unwrap_or_else(|| name.sealed_path(&self.dir))
    }
}

/// The segment that was read last.
pub(super) type LastFile = Option<(SegmentName, Box<dyn MediumFile>)>;
