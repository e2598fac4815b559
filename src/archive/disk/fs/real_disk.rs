use std::{
    any::Any,
    ffi::OsString,
    fs::{self, File},
    io::{self, IoSlice, Write},
    path::Path,
    time::SystemTime,
};

use super::{
    file_system::{DiskFile, FileId, FileSystem, Lock},
    permissions::{
        check_user, existing_file, give_to_owner_of_archive, mode, private_dir, private_file,
    },
};

/// The file system of this machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RealDisk;

/// A locked file.
///
/// It is unlocked explicitly, because closing it would not be enough: a child process shares all our file descriptors
/// until it executes its program.
#[derive(Debug)]
struct Locked(File);

impl Drop for Locked {
    fn drop(&mut self) {
        // An empty lock file names no holder.
        drop(self.0.set_len(0));
        // If unlocking fails, closing the file unlocks it eventually.
        drop(unlock(&self.0));
    }
}

/// Locks a file for this process, and returns whether no other process has it locked.
#[cfg(unix)]
fn try_lock(file: &File) -> io::Result<bool> {
    match rustix::fs::flock(file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(unix)]
fn unlock(file: &File) -> io::Result<()> {
    Ok(rustix::fs::flock(file, rustix::fs::FlockOperation::Unlock)?)
}

/// Locks a file for this process, and returns whether no other process has it locked.
#[cfg(not(unix))]
#[clippy::msrv = "1.89"]
fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(fs::TryLockError::WouldBlock) => Ok(false),
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(not(unix))]
#[clippy::msrv = "1.89"]
fn unlock(file: &File) -> io::Result<()> {
    file.unlock()
}

impl FileSystem for RealDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        create_dir(dir, &mut |parent| self.sync_dir(parent))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name())).collect()
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
        let file = open_lock(path)?;
        if !try_lock(&file)? {
            return Ok(None);
        }
        if let Err(error) = write_pid(&file) {
            tracing::debug!(path = %path.display(), %error, "cannot write the process id to the lock file");
        }
        Ok(Some(Box::new(Locked(file))))
    }

    #[cfg(unix)]
    fn is_locked_by(&self, path: &Path, lock: &Lock) -> bool {
        let Some(Locked(file)) = (**lock).downcast_ref() else { return true };
        match (file.metadata(), self.identity(path)) {
            (Ok(ours), Ok(named)) => named == Some(file_id(&ours)),
            (_, Err(error)) => {
                !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
            }
            // A file that cannot be inspected is inconclusive.
            _ => true,
        }
    }

    #[cfg(unix)]
    fn identity(&self, path: &Path) -> io::Result<Option<FileId>> {
        fs::symlink_metadata(path).map(|metadata| Some(file_id(&metadata)))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = private_file().read(true).append(true).create_new(true).open(path)?;
        give_to_owner_of_archive(&file, path);
        Ok(Box::new(RealFile(file)))
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(RealFile(existing_file().read(true).append(true).open(path)?)))
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(RealFile(File::open(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    #[cfg(unix)]
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn note_time(&self, path: &Path) -> Option<SystemTime> {
        let file = existing_file().write(true).open(path).ok()?;
        let before = file.metadata().and_then(|known| known.modified());
        file.set_modified(SystemTime::now()).ok()?;
        before.ok()
    }

    fn check_user(&self, dir: &Path) -> io::Result<()> {
        check_user(dir)
    }

    fn mode(&self, path: &Path) -> Option<u32> {
        mode(path).ok()
    }

    #[cfg(unix)]
    fn free_space(&self, dir: &Path) -> io::Result<u64> {
        let system = rustix::fs::statvfs(dir)?;
        Ok(system.f_bavail.saturating_mul(system.f_frsize))
    }

    /// Only Unix supports syncing a directory.
    #[cfg(not(unix))]
    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(unix)]
fn file_id(metadata: &fs::Metadata) -> FileId {
    use std::os::unix::fs::MetadataExt;

    (metadata.dev(), metadata.ino())
}

/// Opens the lock file for writing, so that a process without write permission cannot hold the lock. Creates it if it
/// does not exist.
fn open_lock(path: &Path) -> io::Result<File> {
    match private_file().write(true).create_new(true).open(path) {
        Ok(file) => {
            give_to_owner_of_archive(&file, path);
            Ok(file)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            existing_file().write(true).open(path)
        }
        Err(error) => Err(error),
    }
}

/// Writes the id of this process to a lock file. Preserves the modification time of the file, which is the last time at
/// which the archive was known to be open.
fn write_pid(file: &File) -> io::Result<()> {
    let before = file.metadata()?.modified();
    file.set_len(0)?;
    let mut file = file;
    file.write_all(format!("{}\n", std::process::id()).as_bytes())?;
    file.set_modified(before?)
}

/// Creates a directory and its parents, and syncs the name of each directory it creates. Also syncs the name of an
/// existing directory, because the process that created it may have died before the sync.
fn create_dir(dir: &Path, sync: &mut impl FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
    let parent = match dir.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    if !dir.is_dir() {
        create_dir(parent, sync)?;
        match private_dir().create(dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    match sync(parent) {
        // A process that may not read the parent cannot sync it, and did not create the directory in it either.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        result => result,
    }
}

#[derive(Debug)]
struct RealFile(File);

impl DiskFile for RealFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    #[cfg(unix)]
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(&self.0, buffer, offset)
    }

    #[cfg(windows)]
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_read(&self.0, buffer, offset)
    }

    fn write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        (&self.0).write_vectored(slices)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    /// The device number is not used, because it may change when the machine restarts.
    #[cfg(unix)]
    fn version(&self) -> Option<String> {
        use std::os::unix::fs::MetadataExt;

        let known = self.0.metadata().ok()?;
        let (inode, length) = (known.ino(), known.len());
        let (modified, modified_nanos) = (known.mtime(), known.mtime_nsec());
        let (changed, changed_nanos) = (known.ctime(), known.ctime_nsec());
        Some(format!("{inode}:{length}:{modified}.{modified_nanos}:{changed}.{changed_nanos}"))
    }

    #[cfg(unix)]
    fn identity(&self) -> Option<FileId> {
        self.0.metadata().ok().map(|metadata| file_id(&metadata))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_given_back_though_a_process_in_the_making_has_the_file_too() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let lock = RealDisk.lock(&path).unwrap().unwrap();
        let inherited = lock.downcast_ref::<Locked>().unwrap().0.try_clone().unwrap();
        assert!(RealDisk.lock(&path).unwrap().is_none());
        drop(lock);
        assert!(RealDisk.lock(&path).unwrap().is_some());
        drop(inherited);
    }

    #[cfg(unix)]
    #[test]
    fn files_and_directories_are_readable_by_their_owner_only() {
        use std::os::unix::fs::PermissionsExt;

        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("inbox");
        RealDisk.create_dir(&dir).unwrap();
        let _lock = RealDisk.lock(&dir.join("lock")).unwrap().unwrap();
        drop(RealDisk.create(&dir.join("file")).unwrap());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&dir), 0o700);
        assert_eq!(["lock", "file"].map(|name| mode(&dir.join(name))), [0o600; 2]);
    }

    #[test]
    fn the_name_of_a_directory_is_synced_also_where_it_is_there_already() {
        let base = tempfile::tempdir().unwrap();
        let base = base.path();
        let mut synced = Vec::new();
        let mut sync = |parent: &Path| {
            synced.push(parent.to_owned());
            Ok(())
        };
        create_dir(&base.join("a/b"), &mut sync).unwrap();
        create_dir(&base.join("a/b"), &mut sync).unwrap();
        let above = base.parent().unwrap();
        assert_eq!(synced, [above, base, &base.join("a"), &base.join("a")]);
    }

    #[test]
    fn a_directory_whose_name_cannot_be_synced_is_refused_unless_its_parent_may_not_be_read() {
        let base = tempfile::tempdir().unwrap();
        let denied = create_dir(base.path(), &mut |_| Err(io::ErrorKind::PermissionDenied.into()));
        assert!(denied.is_ok(), "{denied:?}");
        let failed = create_dir(base.path(), &mut |_| Err(io::Error::other("by the test")));
        assert!(failed.is_err());
    }
}
