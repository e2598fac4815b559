//! A disk whose calls fail on demand, for tests of archives.

use std::{
    any::Any,
    ffi::OsString,
    io::{self, IoSlice},
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::archive::{
    ArchiveError, DiskArchive, DiskArchiveBuilder, DiskFile, FileId, FileSystem, Lock, RealDisk,
};

/// The disk of this machine, with faults on demand. Clones share the faults.
///
/// ```
/// use tower_inbox::{Archive, DiskArchive, archive::Append, testing::{Fault, FaultyDisk, Sample}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("inbox");
/// let disk = FaultyDisk::new();
/// let archive = disk.open(DiskArchive::builder(&path)).await?;
/// disk.fail(Fault::Full { room: 100 });
/// assert!(archive.append(Append::new(Sample::of("/m").delivery())).await.is_err());
/// disk.heal();
/// assert!(archive.append(Append::new(Sample::of("/m").delivery())).await.is_ok());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct FaultyDisk(Arc<Faults>);

impl FaultyDisk {
    /// Creates a disk without faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens an archive on this disk.
    ///
    /// # Errors
    ///
    /// Same as [`DiskArchive::open`].
    pub async fn open(&self, archive: DiskArchiveBuilder) -> Result<DiskArchive, ArchiveError> {
        archive.fs(Arc::new(self.clone())).open().await
    }

    /// Sets the fault of the following calls.
    pub fn fail(&self, fault: Fault) {
        self.0.set(Some(fault));
    }

    /// Removes the fault.
    pub fn heal(&self) {
        self.0.set(None);
    }

    /// The current fault. A fault of a single call is removed by that call.
    pub fn fault_now(&self) -> Option<Fault> {
        self.0.now()
    }

    /// Returns true while a call hangs.
    pub fn is_hanging(&self) -> bool {
        self.0.is_hanging()
    }

    /// Returns true if a file was written or synced after a failed sync. No archive may do so: the later sync would
    /// succeed although data is lost.
    pub fn was_misused(&self) -> bool {
        self.0.was_misused()
    }

    /// The free space, if the fault defines it.
    fn free(&self) -> Option<u64> {
        match self.fault_now() {
            Some(Fault::Free { bytes }) => Some(bytes),
            _ => None,
        }
    }
}

/// The maximum time for which a call hangs, so that a test fails instead of hanging.
const LONGEST_HANG: Duration = Duration::from_secs(10);

/// A fault of a [`FaultyDisk`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The disk is full after `room` more bytes.
    Full {
        /// The number of bytes that can still be written.
        room: usize,
    },
    /// The disk reports this free space. Writes succeed.
    Free {
        /// The number of free bytes.
        bytes: u64,
    },
    /// Reading the free space blocks until the fault is replaced or removed, for at most 10 s. Writes succeed.
    HangingFreeSpace,
    /// Each sync blocks until the fault is replaced or removed, for at most 10 s, and then succeeds.
    HangingSync,
    /// Each change fails with a read-only file system.
    ReadOnly,
    /// Each sync fails.
    Unsynced,
    /// One call fails. Calls that only read do not count.
    OneCall {
        /// The number of calls that succeed before the fault.
        after: usize,
    },
    /// Like [`Fault::OneCall`], with an error of the operating system.
    OneError {
        /// The number of calls that succeed before the fault.
        after: usize,
        /// The error number, such as 5 for `EIO` on Linux.
        errno: i32,
    },
    /// All calls fail after the first `after` calls. Calls that only read do not count.
    From {
        /// The number of calls that succeed before the fault.
        after: usize,
    },
    /// One write writes half of its bytes.
    OneShortWrite {
        /// The number of calls that succeed before the fault.
        after: usize,
    },
}

/// The fault of a disk, shared by its clones and files.
#[derive(Debug, Default)]
pub(super) struct Faults {
    fault: Mutex<Option<Fault>>,
    misused: AtomicBool,
    /// The number of hanging calls.
    hanging: AtomicUsize,
}

impl Faults {
    pub(super) fn set(&self, fault: Option<Fault>) {
        *self.fault() = fault;
    }

    pub(super) fn now(&self) -> Option<Fault> {
        *self.fault()
    }

    pub(super) fn was_misused(&self) -> bool {
        self.misused.load(Ordering::Relaxed)
    }

    /// Records that a file was used after a failed sync.
    pub(super) fn note_misuse(&self) {
        self.misused.store(true, Ordering::Relaxed);
    }

    fn fault(&self) -> MutexGuard<'_, Option<Fault>> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Called before the free space is read. Blocks for [`Fault::HangingFreeSpace`].
    pub(super) fn read_free_space(&self) {
        self.hang(Fault::HangingFreeSpace);
    }

    /// Returns true while a call hangs.
    pub(super) fn is_hanging(&self) -> bool {
        self.hanging.load(Ordering::Acquire) > 0
    }

    fn hang(&self, fault: Fault) {
        let start = Instant::now();
        self.hanging.fetch_add(1, Ordering::Release);
        while self.now() == Some(fault) {
            if start.elapsed() >= LONGEST_HANG {
                self.set(None);
            }
            thread::sleep(Duration::from_millis(1));
        }
        self.hanging.fetch_sub(1, Ordering::Release);
    }

    /// Called before a change.
    pub(super) fn change(&self) -> io::Result<()> {
        self.write(0).map(drop)
    }

    /// Called before a sync.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.hang(Fault::HangingSync);
        match self.now() {
            Some(Fault::Unsynced) => Err(io::Error::other("sync fault of the test")),
            _ => self.change(),
        }
    }

    /// Called before a write. Returns the number of bytes to write.
    pub(super) fn write(&self, wanted: usize) -> io::Result<usize> {
        let mut fault = self.fault();
        match &mut *fault {
            None
            | Some(
                Fault::Unsynced | Fault::Free { .. } | Fault::HangingFreeSpace | Fault::HangingSync,
            ) => Ok(wanted),
            Some(Fault::ReadOnly) => Err(io::ErrorKind::ReadOnlyFilesystem.into()),
            Some(Fault::Full { room: 0 }) if wanted > 0 => Err(io::ErrorKind::StorageFull.into()),
            Some(Fault::Full { room }) => {
                let taken = wanted.min(*room);
                *room -= taken;
                Ok(taken)
            }
            Some(
                Fault::OneCall { after }
                | Fault::OneError { after, .. }
                | Fault::OneShortWrite { after }
                | Fault::From { after },
            ) if *after > 0 => {
                *after -= 1;
                Ok(wanted)
            }
            Some(Fault::From { .. }) => Err(io::Error::other("call fault of the test")),
            Some(once) => {
                let once = *once;
                *fault = None;
                happen(once, wanted)
            }
        }
    }
}

/// Returns the result of the single faulty call.
fn happen(once: Fault, wanted: usize) -> io::Result<usize> {
    match once {
        Fault::OneShortWrite { .. } => Ok(wanted.div_ceil(2)),
        Fault::OneError { errno, .. } => Err(io::Error::from_raw_os_error(errno)),
        _ => Err(io::Error::other("call fault of the test")),
    }
}

impl FileSystem for FaultyDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.change()?;
        RealDisk.create_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        RealDisk.list(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
        self.0.change()?;
        RealDisk.lock(path)
    }

    fn is_locked_by(&self, path: &Path, lock: &Lock) -> bool {
        RealDisk.is_locked_by(path, lock)
    }

    fn identity(&self, path: &Path) -> io::Result<Option<FileId>> {
        RealDisk.identity(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.0.change()?;
        Ok(faulty(self, RealDisk.create(path)?))
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.0.change()?;
        Ok(faulty(self, RealDisk.open_append(path)?))
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        RealDisk.open_read(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.change()?;
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.change()?;
        RealDisk.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.sync()?;
        RealDisk.sync_dir(dir)
    }

    fn free_space(&self, dir: &Path) -> io::Result<u64> {
        self.0.read_free_space();
        self.free().map_or_else(|| RealDisk.free_space(dir), Ok)
    }
}

fn faulty(disk: &FaultyDisk, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
    Box::new(FaultyFile { disk: disk.clone(), file, sync_failed: AtomicBool::new(false) })
}

#[derive(Debug)]
struct FaultyFile {
    disk: FaultyDisk,
    file: Box<dyn DiskFile>,
    sync_failed: AtomicBool,
}

impl FaultyFile {
    fn watch_misuse(&self) {
        if self.sync_failed.load(Ordering::Relaxed) {
            self.disk.0.note_misuse();
        }
    }
}

impl DiskFile for FaultyFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.watch_misuse();
        let wanted = slices.iter().map(|slice| slice.len()).sum();
        let room = self.disk.0.write(wanted)?;
        if room == wanted {
            return self.file.write_vectored(slices);
        }
        let bytes: Vec<u8> =
            slices.iter().flat_map(|slice| slice.iter().copied()).take(room).collect();
        self.file.write_vectored(&[IoSlice::new(&bytes)])
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.0.change()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.watch_misuse();
        let result = self.disk.0.sync();
        self.sync_failed.fetch_or(result.is_err(), Ordering::Relaxed);
        result.and_then(|()| self.file.sync_data())
    }

    fn version(&self) -> Option<String> {
        self.file.version()
    }

    fn identity(&self) -> Option<FileId> {
        self.file.identity()
    }
}
