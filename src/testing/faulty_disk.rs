use std::{
    any::Any,
    ffi::OsString,
    io::{self, IoSlice},
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::archive::{ArchiveError, DiskArchive, DiskArchiveBuilder, Medium, MediumFile, RealDisk};

/// What a [`FaultyDisk`] does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// There is room for so many more bytes, and then for none.
    Full {
        /// How many bytes.
        room: usize,
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

    fn fault(&self) -> MutexGuard<'_, Option<Fault>> {
        self.0.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Before a call that changes something.
    fn change(&self) -> io::Result<()> {
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

    fn sync(&self) -> io::Result<()> {
        match self.fault_now() {
            Some(Fault::Unsynced) => Err(io::Error::other("this sync was to fail")),
            _ => self.change(),
        }
    }

    /// How many of `wanted` bytes there is room for.
    fn room(&self, wanted: usize) -> io::Result<usize> {
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

    fn file(&self, file: Box<dyn MediumFile>) -> Box<dyn MediumFile> {
        Box::new(FaultyFile { disk: self.clone(), file, sync_failed: AtomicBool::new(false) })
    }
}

impl Medium for FaultyDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.change()?;
        RealDisk.create_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        RealDisk.list(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Any + Send>>> {
        self.change()?;
        RealDisk.lock(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn MediumFile>> {
        self.change()?;
        Ok(self.file(RealDisk.create(path)?))
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn MediumFile>> {
        self.change()?;
        Ok(self.file(RealDisk.open_append(path)?))
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn MediumFile>> {
        RealDisk.open_read(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change()?;
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.change()?;
        RealDisk.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.sync()?;
        RealDisk.sync_dir(dir)
    }
}

#[derive(Debug)]
struct FaultyFile {
    disk: FaultyDisk,
    file: Box<dyn MediumFile>,
    sync_failed: AtomicBool,
}

impl FaultyFile {
    fn watch_misuse(&self) {
        if self.sync_failed.load(Ordering::Relaxed) {
            self.disk.0.misused.store(true, Ordering::Relaxed);
        }
    }
}

impl MediumFile for FaultyFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.watch_misuse();
        self.disk.change()?;
        let wanted = slices.iter().map(|slice| slice.len()).sum();
        let room = self.disk.room(wanted)?;
        if room == wanted {
            return self.file.write_vectored(slices);
        }
        let bytes: Vec<u8> =
            slices.iter().flat_map(|slice| slice.iter().copied()).take(room).collect();
        self.file.write_vectored(&[IoSlice::new(&bytes)])
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.change()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.watch_misuse();
        let result = self.disk.sync();
        self.sync_failed.fetch_or(result.is_err(), Ordering::Relaxed);
        result.and_then(|()| self.file.sync_data())
    }
}
