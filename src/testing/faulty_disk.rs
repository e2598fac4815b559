use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::archive::{ArchiveError, DiskArchive, DiskArchiveBuilder};

/// What a [`FaultyDisk`] does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// There is room for so many more bytes, and then for none.
    Full {
        /// How many bytes.
        room: usize,
    },
    /// It says that so many bytes are free. Writing goes well.
    Free {
        /// How many bytes.
        bytes: u64,
    },
    /// Nothing can be changed.
    ReadOnly,
    /// Every sync fails.
    Unsynced,
    /// The one call that comes after so many others fails; calls that only read do not count.
    OneCall {
        /// How many calls go well before.
        after: usize,
    },
}

/// The disk of this machine, with faults on demand. Its clones share them.
///
/// ```
/// use tower_inbox::{Archive, DiskArchive, testing::{Fault, FaultyDisk, Sample}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("inbox");
/// let disk = FaultyDisk::new();
/// let archive = disk.open(DiskArchive::builder(&path)).await?;
/// disk.fail(Fault::Full { room: 100 });
/// assert!(archive.append(Sample::of("/m").delivery()).await.is_err());
/// disk.heal();
/// assert!(archive.append(Sample::of("/m").delivery()).await.is_ok());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct FaultyDisk(Arc<State>);

#[derive(Debug, Default)]
struct State {
    fault: Mutex<Option<Fault>>,
    misused: AtomicBool,
}

impl FaultyDisk {
    /// A disk without faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens an archive on this disk.
    ///
    /// # Errors
    ///
    /// As those of [`DiskArchive::open`].
    pub async fn open(&self, archive: DiskArchiveBuilder) -> Result<DiskArchive, ArchiveError> {
        archive.medium(Arc::new(self.clone())).open().await
    }

    /// Goes wrong like this from now on.
    pub fn fail(&self, fault: Fault) {
        *self.fault() = Some(fault);
    }

    /// Goes well from now on.
    pub fn heal(&self) {
        *self.fault() = None;
    }

    /// What it does wrong at the moment. [`Fault::OneCall`] is over once it has happened.
    pub fn fault_now(&self) -> Option<Fault> {
        *self.fault()
    }

    /// Whether a file was written or synced after a sync of it had failed. No archive may do so: that sync would
    /// succeed, and mean nothing.
    pub fn was_misused(&self) -> bool {
        self.0.misused.load(Ordering::Relaxed)
    }

    /// The file was used after a sync of it had failed.
    pub(super) fn note_misuse(&self) {
        self.0.misused.store(true, Ordering::Relaxed);
    }

    fn fault(&self) -> MutexGuard<'_, Option<Fault>> {
        self.0.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many bytes it says are free, where it does not ask the disk.
    pub(super) fn free(&self) -> Option<u64> {
        match self.fault_now() {
            Some(Fault::Free { bytes }) => Some(bytes),
            _ => None,
        }
    }

    /// Before a call that changes something.
    pub(super) fn change(&self) -> io::Result<()> {
        let mut fault = self.fault();
        match &mut *fault {
            Some(Fault::ReadOnly) => Err(io::ErrorKind::ReadOnlyFilesystem.into()),
            Some(Fault::OneCall { after: 0 }) => {
                *fault = None;
                Err(io::Error::other("this call was to fail"))
            }
            Some(Fault::OneCall { after }) => {
                *after -= 1;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Before a call that makes something durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        match self.fault_now() {
            Some(Fault::Unsynced) => Err(io::Error::other("this sync was to fail")),
            _ => self.change(),
        }
    }

    /// How many of `wanted` bytes there is room for.
    pub(super) fn room(&self, wanted: usize) -> io::Result<usize> {
        match &mut *self.fault() {
            Some(Fault::Full { room: 0 }) => Err(io::ErrorKind::StorageFull.into()),
            Some(Fault::Full { room }) => {
                let taken = wanted.min(*room);
                *room -= taken;
                Ok(taken)
            }
            _ => Ok(wanted),
        }
    }
}
