use std::{
    io,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use bytes::Bytes;

use super::{
    entry::Place,
    file_io::read_full,
    index::{Damage, Index, Kept},
    medium::{Medium, MediumFile},
    name::SegmentName,
    warc::read_delivery,
};
use crate::{
    archive::{ArchiveError, Archived},
    delivery::DeliveryId,
};

/// Reads deliveries back. Needs nothing of the writer.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) medium: Arc<dyn Medium>,
    pub(super) dir: PathBuf,
    pub(super) index: Arc<RwLock<Index>>,
}

impl Reader {
    pub(super) fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, id: DeliveryId) -> Result<Option<Archived>, ArchiveError> {
        let kept = self.index().get(id).cloned();
        kept.map(|kept| self.read(kept, &mut None)).transpose()
    }

    /// The damages that were found before the delivery at this position when the archive was opened.
    pub(super) fn damages_at(&self, position: usize) -> Vec<ArchiveError> {
        let damages = self.index().damages_at(position).to_vec();
        let error = |damage: Damage| ArchiveError::Damaged {
            path: self.path_now(damage.segment),
            offset: damage.offset,
            reason: "no record could be read there",
        };
        damages.into_iter().map(error).collect()
    }

    /// Reads one delivery. The segment that was read last is kept open in `last`.
    pub(super) fn read(&self, kept: Kept, last: &mut LastFile) -> Result<Archived, ArchiveError> {
        let Kept { place, outcome } = kept;
        let failed = |source| ArchiveError::Io {
            action: "read",
            path: place.segment.sealed_path(&self.dir),
            source,
        };
        let record = self.read_record(place, last).map_err(failed)?;
        let delivery =
            read_delivery(&record, place.segment.salt).map_err(|reason| ArchiveError::Damaged {
                path: self.path_now(place.segment),
                offset: place.offset,
                reason,
            })?;
        Ok(Archived::new(delivery, outcome))
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

    /// A segment may be sealed, and so renamed, at any moment.
    fn open(&self, name: SegmentName) -> io::Result<Box<dyn MediumFile>> {
        let (open, sealed) = (name.open_path(&self.dir), name.sealed_path(&self.dir));
        let missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        match self.medium.open_read(&open) {
            Err(error) if missing(&error) => self.medium.open_read(&sealed),
            result => result,
        }
    }

    /// The name that the file of a segment has at the moment, for those who will look at it.
    fn path_now(&self, name: SegmentName) -> PathBuf {
        let open = name.open_path(&self.dir);
        match self.medium.open_read(&open) {
            Ok(_) => open,
            Err(_) => name.sealed_path(&self.dir),
        }
    }
}

/// The segment that was read last.
pub(super) type LastFile = Option<(SegmentName, Box<dyn MediumFile>)>;
