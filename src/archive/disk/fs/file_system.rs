use std::{
    any::Any,
    ffi::OsString,
    fmt::Debug,
    io::{self, IoSlice},
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use crate::archive::ArchiveError;

/// A lock that excludes other writers while any clone of it exists.
pub(crate) type Lock = Arc<dyn Any + Send + Sync>;

/// Identifies a file or directory independently of its name: device and inode on Unix.
pub(crate) type FileId = (u64, u64);

/// The file system operations of the archive. No other code in this folder accesses files, so that tests can substitute
/// a disk that fails or crashes at any call.
pub(crate) trait FileSystem: Debug + Send + Sync + 'static {
    /// Creates a directory and its parents, durably. It may already exist.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// Returns the names in a directory, in any order.
    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>>;

    /// Takes a lock that is released when the result is dropped; `None` while another holder has it.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Any + Send + Sync>>>;

    /// Returns whether `path` is still the file that was locked. False once the file is deleted or replaced, because
    /// another process can then lock the new one.
    fn is_locked_by(&self, path: &Path, lock: &Lock) -> bool {
        let _ = (path, lock);
        true
    }

    /// Identifies the file with this name; `None` where files cannot be identified.
    fn identity(&self, path: &Path) -> io::Result<Option<FileId>> {
        let _ = path;
        Ok(None)
    }

    /// Creates a new file for appending; fails if it exists. Its name is durable after [`FileSystem::sync_dir`].
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file for appending and reading.
    fn open_append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file for reading.
    fn open_read(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Renames a file. Durable after [`FileSystem::sync_dir`].
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Sets the timestamp of a file to the current time, and returns the previous timestamp; `None` if unsupported.
    fn note_time(&self, path: &Path) -> Option<SystemTime> {
        let _ = path;
        None
    }

    /// Returns an error if files that this process creates in the directory of an archive would not be readable by the
    /// process that owns the archive.
    fn check_user(&self, dir: &Path) -> io::Result<()> {
        let _ = dir;
        Ok(())
    }

    /// Returns the permission bits of a file or directory; `None` if unknown.
    fn mode(&self, path: &Path) -> Option<u32> {
        let _ = path;
        None
    }

    /// Returns the number of bytes available below a directory; `u64::MAX` if unknown.
    fn free_space(&self, dir: &Path) -> io::Result<u64> {
        let _ = dir;
        Ok(u64::MAX)
    }
}

/// An open file of a [`FileSystem`].
pub(crate) trait DiskFile: Debug + Send + Sync {
    /// Returns the length of the file in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Reads at `offset` without moving a file position; may read fewer bytes than fit in the buffer.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Appends; may write fewer bytes than given.
    fn write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Truncates the file.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Makes the written data durable.
    fn sync_data(&self) -> io::Result<()>;

    /// Returns a value that changes when the file is written or replaced; `None` if unknown.
    fn version(&self) -> Option<String> {
        None
    }

    /// Identifies the file; `None` where files cannot be identified.
    fn identity(&self) -> Option<FileId> {
        None
    }
}

/// Returns whether `path` still names this open file. False once the file, or a directory above it, was removed,
/// renamed or replaced: data written to it is then unreachable. Other errors are inconclusive and count as true.
pub(in crate::archive::disk) fn is_reachable(
    fs: &dyn FileSystem,
    path: &Path,
    file: &dyn DiskFile,
) -> bool {
    let Some(open) = file.identity() else { return true };
    match fs.identity(path) {
        Ok(named) => named.is_none_or(|named| named == open),
        Err(error) => {
            !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
        }
    }
}

/// A failed operation, its path, and the error of the operating system. One failure can be the error of many waiting
/// callers.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
pub(in crate::archive::disk) struct Failure {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl Failure {
    /// Builds a closure for `map_err`.
    pub(in crate::archive::disk) fn to(
        action: &'static str,
        path: &Path,
    ) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { action, path: path.to_owned(), source }
    }

    /// Returns whether the error is that a file does not exist.
    pub(in crate::archive::disk) fn is_missing(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }

    /// Returns a copy of the error for one waiting caller, because [`io::Error`] cannot be cloned.
    pub(in crate::archive::disk) fn error(&self) -> ArchiveError {
        let source = match self.source.raw_os_error() {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::new(self.source.kind(), self.source.to_string()),
        };
        ArchiveError::Io { action: self.action, path: self.path.clone(), source }
    }
}

impl From<Failure> for ArchiveError {
    fn from(failure: Failure) -> Self {
        let Failure { action, path, source } = failure;
        Self::Io { action, path, source }
    }
}
