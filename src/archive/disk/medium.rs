use std::{
    any::Any,
    ffi::OsString,
    fmt::Debug,
    io::{self, IoSlice},
    path::Path,
    sync::Arc,
    time::SystemTime,
};

/// What keeps other writers out for as long as one of its clones lives.
pub(crate) type Lock = Arc<dyn Any + Send + Sync>;

/// Identifies a file or a directory whatever its name is: its device and inode on Unix.
pub(crate) type FileId = (u64, u64);

/// All that the archive asks of a file system. Nothing else in this folder touches a file, so that tests can put a disk
/// behind it that fails or crashes at any call.
pub(crate) trait Medium: Debug + Send + Sync + 'static {
    /// Makes a directory, and those above it, durably. It may be there already.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// The names in a directory, in any order.
    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>>;

    /// Takes a lock that is given back when the result is dropped; `None` while another holds it.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Any + Send + Sync>>>;

    /// Whether `path` is still the file that was locked. False once the file is deleted or replaced: then another
    /// process can lock the new one.
    fn is_locked_by(&self, path: &Path, lock: &Lock) -> bool {
        let _ = (path, lock);
        true
    }

    /// Identifies the file with this name; `None` where files cannot be identified.
    fn identity(&self, path: &Path) -> io::Result<Option<FileId>> {
        let _ = path;
        Ok(None)
    }

    /// Makes a file for appending that was not there before. Its name is durable after [`Medium::sync_dir`].
    fn create(&self, path: &Path) -> io::Result<Box<dyn MediumFile>>;

    /// Opens a file for appending and reading.
    fn open_append(&self, path: &Path) -> io::Result<Box<dyn MediumFile>>;

    /// Opens a file for reading.
    fn open_read(&self, path: &Path) -> io::Result<Box<dyn MediumFile>>;

    /// Renames a file. Durable after [`Medium::sync_dir`].
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Notes at a file that it is now, and gives the time that was noted there before; nothing where that cannot be done.
    fn note_time(&self, path: &Path) -> Option<SystemTime> {
        let _ = path;
        None
    }

    /// An error if the files that this process creates in the directory of an archive could not be read by the process that
    /// owns the archive.
    fn check_user(&self, dir: &Path) -> io::Result<()> {
        let _ = dir;
        Ok(())
    }

    /// The permission bits of a file or directory; none where that is not known.
    fn mode(&self, path: &Path) -> Option<u32> {
        let _ = path;
        None
    }

    /// How many bytes can still be written below a directory; as many as there are numbers where that is not known.
    fn free_space(&self, dir: &Path) -> io::Result<u64> {
        let _ = dir;
        Ok(u64::MAX)
    }
}

/// An open file of a [`Medium`].
pub(crate) trait MediumFile: Debug + Send + Sync {
    /// How many bytes the file has.
    fn len(&self) -> io::Result<u64>;

    /// Reads at `offset` without moving anything; may read fewer bytes than fit.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Appends; may write fewer bytes than there are.
    fn write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Cuts the file.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Makes what was written durable.
    fn sync_data(&self) -> io::Result<()>;

    /// A word that changes when the file is written to, or another takes its name; none where that is not known.
    fn version(&self) -> Option<String> {
        None
    }

    /// Identifies the file; `None` where files cannot be identified.
    fn identity(&self) -> Option<FileId> {
        None
    }
}

/// Whether `path` still names this open file. False once the file, or a directory above it, was removed, renamed or
/// replaced: then nobody finds what is written to it. An error of another kind says nothing of that, and counts as true.
pub(super) fn is_reachable(medium: &dyn Medium, path: &Path, file: &dyn MediumFile) -> bool {
    let Some(open) = file.identity() else { return true };
    match medium.identity(path) {
        Ok(named) => named.is_none_or(|named| named == open),
        Err(error) => {
            !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
        }
    }
}
