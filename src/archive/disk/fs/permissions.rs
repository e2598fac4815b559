//! Permissions of the files of an archive. New files are accessible only to their owner, and belong to the owner of the
//! directory. Existing permissions are never changed, because an operator may have chosen them.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::Path,
};

use super::{file_system::FileSystem, lock::lock_path};

/// Options for a new file that only its owner can read and write. Any process that can open the lock file, even
/// read-only, can hold the lock.
pub(in crate::archive::disk) fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Options for an existing file of the archive. Symbolic links are rejected: otherwise the owner of the directory could
/// make a command that runs as root truncate or write any other file.
pub(in crate::archive::disk) fn existing_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    if let Ok(flags) = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()) {
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags);
    }
    options
}

/// Returns a builder for directories that only their owner can access.
pub(in crate::archive::disk) fn private_dir() -> fs::DirBuilder {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

/// Changes the owner of a file that root has just created to the owner of the archive. Otherwise a command that runs as
/// root leaves files that the server cannot open.
pub(in crate::archive::disk) fn give_to_owner_of_archive(file: &File, path: &Path) {
    #[cfg(unix)]
    if let Err(error) = change_owner(file, path) {
        tracing::warn!(path = %path.display(), %error, "cannot give a new file to the owner of the archive");
    }
    #[cfg(not(unix))]
    let _ = (file, path);
}

#[cfg(unix)]
const ROOT: u32 = 0;

#[cfg(unix)]
fn change_owner(file: &File, path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};

    let Some(dir) = path.parent().filter(|_| rustix::process::geteuid().is_root()) else {
        return Ok(());
    };
    let known = file.metadata()?;
    match new_owner((known.uid(), known.gid()), owner(dir)?) {
        Some((user, group)) => fchown(file, Some(user), Some(group)),
        None => Ok(()),
    }
}

/// Returns the user and group that own the archive: those of its lock file, which the server created; those of its
/// directory if there is no lock file, or if root owns it. A directory may belong to root while the server writes to it
/// through its group.
#[cfg(unix)]
fn owner(dir: &Path) -> io::Result<(u32, u32)> {
    use std::os::unix::fs::MetadataExt;

    let owner = |metadata: fs::Metadata| (metadata.uid(), metadata.gid());
    let lock = fs::symlink_metadata(lock_path(dir)).ok().filter(fs::Metadata::is_file).map(owner);
    match lock.filter(|(user, _)| *user != ROOT) {
        Some(owner) => Ok(owner),
        None => fs::metadata(dir).map(owner),
    }
}

/// Returns the new user and group of a new file, if they must change.
#[cfg(unix)]
fn new_owner(file: (u32, u32), archive: (u32, u32)) -> Option<(u32, u32)> {
    (file.0 == ROOT && archive.0 != ROOT).then_some(archive)
}

/// Returns an error if the archive belongs to another user, who could not open the files that this process would
/// create: new files are accessible only to their owner. Root changes their owner instead.
pub(in crate::archive::disk) fn check_user(dir: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;

        let user = rustix::process::geteuid().as_raw();
        // Without a lock file, no server has opened the archive.
        let lock = fs::symlink_metadata(lock_path(dir)).ok();
        if let Some(other) = lock.map(|lock| lock.uid()).filter(|owner| is_foreign(user, *owner)) {
            let reason = format!("it belongs to user {other}; run this as that user, or as root");
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
        }
    }
    #[cfg(not(unix))]
    let _ = dir;
    Ok(())
}

#[cfg(unix)]
fn is_foreign(user: u32, owner: u32) -> bool {
    user != ROOT && user != owner
}

/// Returns the permission bits of a file or directory.
pub(in crate::archive::disk) fn mode(path: &Path) -> io::Result<u32> {
    let metadata = fs::symlink_metadata(path)?;
    #[cfg(unix)]
    return Ok(std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777);
    #[cfg(not(unix))]
    return Ok(if metadata.is_dir() { 0o700 } else { 0o600 });
}

/// Logs one warning if other users can access the directory or files in it.
pub(in crate::archive::disk) fn warn_if_accessible(fs: &dyn FileSystem, dir: &Path) {
    let names = fs.list(dir).unwrap_or_default();
    let paths = names.iter().map(|name| dir.join(name));
    let files: Vec<_> = paths.filter(|path| is_accessible(fs.mode(path))).collect();
    let mode = fs.mode(dir);
    if files.is_empty() && !is_accessible(mode) {
        return;
    }
    tracing::warn!(
        path = %dir.display(),
        mode = mode.map(|mode| format!("{mode:04o}")),
        files = files.len(),
        first = files.first().map(|path| path.display().to_string()),
        "other users can access the archive: they may read bodies, and hold its lock; set mode 0700 for the directory \
         and 0600 for its files"
    );
}

fn is_accessible(mode: Option<u32>) -> bool {
    mode.is_some_and(|mode| mode & 0o077 != 0)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

    use super::*;
    use crate::archive::disk::{DiskArchive, fs::real_disk::RealDisk, open::open, tests::logged};

    fn open_and_log(dir: &Path) -> String {
        let builder = DiskArchive::builder(dir).probe(false).maintenance_interval(None);
        logged(|| drop(open(builder, tokio::time::Instant::now()).unwrap()))
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn opening_warns_once_of_wider_permissions_and_keeps_them() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("inbox");
        for _ in 0..2 {
            let text = open_and_log(&dir);
            assert!(!text.contains("WARN"), "{text}");
        }
        set_mode(&dir, 0o755);
        set_mode(&dir.join("inbox.lock"), 0o644);
        let text = open_and_log(&dir);
        assert_eq!(text.matches("other users can access the archive").count(), 1, "{text}");
        assert!(text.contains("0755") && text.contains("files=1"), "{text}");
        assert!(text.contains("inbox.lock"), "{text}");
        assert_eq!(mode(&dir).unwrap(), 0o755);
        set_mode(&dir, 0o700);
        set_mode(&dir.join("inbox.lock"), 0o640);
        assert!(open_and_log(&dir).contains("WARN"), "a file alone");
    }

    #[test]
    fn only_files_of_root_in_the_directory_of_another_user_change_their_owner() {
        assert_eq!(new_owner((0, 0), (1000, 100)), Some((1000, 100)));
        for (file, dir) in [((0, 0), (0, 100)), ((1000, 100), (1001, 100)), ((7, 7), (0, 0))] {
            assert_eq!(new_owner(file, dir), None, "{file:?} {dir:?}");
        }
    }

    #[test]
    fn files_that_root_creates_belong_to_the_owner_of_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        // Only root can change the owner of a directory.
        if chown(dir.path(), Some(1234), Some(1235)).is_err() {
            eprintln!("skipped: only root can give a directory away");
            return;
        }
        let (file, lock) = (dir.path().join("file"), dir.path().join("lock"));
        drop(RealDisk.create(&file).unwrap());
        drop(RealDisk.lock(&lock).unwrap().unwrap());
        for path in [file, lock] {
            let metadata = fs::metadata(path).unwrap();
            assert_eq!((metadata.uid(), metadata.gid()), (1234, 1235));
        }
    }

    #[test]
    fn files_that_root_creates_belong_to_the_server_that_created_the_lock_file() {
        let dir = tempfile::tempdir().unwrap();
        let lock = lock_path(dir.path());
        fs::write(&lock, "").unwrap();
        if chown(&lock, Some(1234), Some(1235)).is_err() {
            eprintln!("skipped: only root can give a file away");
            return;
        }
        // Like a Kubernetes volume with `fsGroup`: the directory belongs to root.
        let file = dir.path().join("file");
        drop(RealDisk.create(&file).unwrap());
        let metadata = fs::metadata(&file).unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), (1234, 1235));
        // A lock file left by root does not change the owner of the archive.
        chown(&lock, Some(0), Some(0)).unwrap();
        chown(dir.path(), Some(1236), Some(1237)).unwrap();
        assert_eq!(owner(dir.path()).unwrap(), (1236, 1237));
    }

    #[test]
    fn only_root_and_the_owner_of_the_archive_may_write_to_it() {
        assert!(!is_foreign(0, 1000) && !is_foreign(1000, 1000));
        assert!(is_foreign(1001, 1000) && is_foreign(1000, 0));
    }

    #[test]
    fn symbolic_links_are_not_written_through() {
        let dir = tempfile::tempdir().unwrap();
        let (target, link) = (dir.path().join("target"), dir.path().join("link"));
        fs::write(&target, "precious").unwrap();
        symlink(&target, &link).unwrap();
        assert!(RealDisk.lock(&link).is_err());
        assert!(RealDisk.open_append(&link).is_err());
        assert!(RealDisk.create(&link).is_err());
        assert_eq!(RealDisk.note_time(&link), None);
        assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
    }
}
