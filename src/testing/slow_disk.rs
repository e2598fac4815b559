use std::{
    any::Any,
    ffi::OsString,
    io::{self, IoSlice},
    path::Path,
    sync::Arc,
    thread,
    time::Duration,
};

use crate::archive::{
    ArchiveError, DiskArchive, DiskArchiveBuilder, DiskFile, FileId, FileSystem, Lock, RealDisk,
};

/// The disk of this machine, with a delay added to each sync. For measurements.
///
/// ```
/// use std::time::{Duration, Instant};
/// use tower_inbox::{Archive, DiskArchive, archive::Append, testing::{Sample, SlowDisk}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("inbox");
/// let disk = SlowDisk::new(Duration::from_millis(5));
/// let archive = disk.open(DiskArchive::builder(&path)).await?;
/// let began = Instant::now();
/// let appended = archive.append(Append::new(Sample::of("/m").delivery())).await?;
/// assert!(!appended.receipt.is_repeat());
/// assert!(began.elapsed() >= Duration::from_millis(5));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SlowDisk {
    delay: Duration,
}

impl SlowDisk {
    /// Creates a disk that adds `delay` to each sync.
    pub fn new(delay: Duration) -> Self {
        Self { delay }
    }

    /// Opens an archive on this disk.
    ///
    /// # Errors
    ///
    /// Same as [`DiskArchive::open`].
    pub async fn open(&self, archive: DiskArchiveBuilder) -> Result<DiskArchive, ArchiveError> {
        archive.fs(Arc::new(*self)).open().await
    }

    fn slow(self, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(SlowFile { disk: self, file })
    }
}

impl FileSystem for SlowDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.create_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        RealDisk.list(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
        RealDisk.lock(path)
    }

    fn is_locked_by(&self, path: &Path, lock: &Lock) -> bool {
        RealDisk.is_locked_by(path, lock)
    }

    fn identity(&self, path: &Path) -> io::Result<Option<FileId>> {
        RealDisk.identity(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        RealDisk.create(path).map(|file| self.slow(file))
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        RealDisk.open_append(path).map(|file| self.slow(file))
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        RealDisk.open_read(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.sync_dir(dir)?;
        thread::sleep(self.delay);
        Ok(())
    }
}

#[derive(Debug)]
struct SlowFile {
    disk: SlowDisk,
    file: Box<dyn DiskFile>,
}

impl DiskFile for SlowFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.file.write_vectored(slices)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()?;
        thread::sleep(self.disk.delay);
        Ok(())
    }

    fn identity(&self) -> Option<FileId> {
        self.file.identity()
    }
}
