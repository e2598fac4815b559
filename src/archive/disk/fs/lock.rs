//! The lock file of an archive. It excludes other writers, and stores the id of the process that has the archive open.
//! Its modification time is the last time at which the archive was known to be open.

use std::{
    io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant, SystemTime},
};

use super::{
    file_io::read_full,
    file_system::{Failure, FileSystem, Lock},
};
use crate::archive::{ArchiveError, disk::format::warc::printable};

/// Returns the path of the lock file.
pub(in crate::archive::disk) fn lock_path(dir: &Path) -> PathBuf {
    dir.join("inbox.lock")
}

/// The pause between two attempts to take the lock.
const RETRY_AFTER: Duration = Duration::from_millis(20);

/// Takes the lock of the archive in `dir`, waiting up to `patience` for another holder to release it. Blocks.
pub(in crate::archive::disk) fn acquire(
    fs: &dyn FileSystem,
    dir: &Path,
    patience: Duration,
) -> Result<Lock, ArchiveError> {
    let path = lock_path(dir);
    let start = Instant::now();
    loop {
        if let Some(lock) = fs.lock(&path).map_err(Failure::to("lock", &path))? {
            return Ok(lock.into());
        }
        let left = patience.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Err(ArchiveError::Locked { path: dir.to_owned(), pid: holder(fs, &path) });
        }
        thread::sleep(left.min(RETRY_AFTER));
    }
}

/// Returns the process id in the lock file; `None` if the file is empty, unreadable, or contains something else.
fn holder(fs: &dyn FileSystem, path: &Path) -> Option<u32> {
    let file = fs.open_read(path).ok()?;
    let mut text = [0; 16];
    let length = read_full(&*file, &mut text, 0).ok()?;
    std::str::from_utf8(text.get(..length)?).ok()?.trim().parse().ok()
}

/// Returns an error if the directory is no longer at its path, or the lock file in it was deleted or replaced since it
/// was locked. Data written then would be lost, or another process may have the archive open, and two writers would
/// damage it. There is no error once the directory is back at its path with the lock file in it.
pub(in crate::archive::disk) fn check(
    fs: &dyn FileSystem,
    dir: &Path,
    lock: &Lock,
) -> Result<(), Failure> {
    let path = lock_path(dir);
    if fs.is_locked_by(&path, lock) {
        return Ok(());
    }
    if let Err(error) = fs.identity(dir) {
        let reason = format!(
            "the directory was removed or renamed while the archive was open; nothing is written until it is back: {error}"
        );
        return Err(Failure::to("find", dir)(io::Error::new(error.kind(), reason)));
    }
    let reason = "the directory or its lock file was deleted or replaced while the archive was open, and another process \
                  may write to the archive; nothing is written until it is back: move it back, or restart this process";
    Err(Failure::to("keep the lock", &path)(io::Error::other(reason)))
}

/// The minimum reported downtime. Shorter gaps are an archive that was closed and reopened.
const SHORTEST: Duration = Duration::from_secs(2);

/// Records that the archive is open, and logs the period during which it was not.
pub(in crate::archive::disk) fn log_downtime(fs: &dyn FileSystem, dir: &Path, unsettled: u64) {
    let (last, now) = (fs.note_time(&lock_path(dir)), SystemTime::now());
    let Some((from, down)) = last.and_then(|last| Some((last, now.duration_since(last).ok()?)))
    else {
        return;
    };
    if down >= SHORTEST {
        tracing::info!(
            path = %dir.display(),
            from = %humantime::format_rfc3339_seconds(printable(from)),
            to = %humantime::format_rfc3339_seconds(printable(now)),
            seconds = down.as_secs(),
            unsettled,
            "the archive was not open: nothing was received in this time"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;
    use crate::archive::disk::{fs::real_disk::RealDisk, tests::logged};

    fn refused(dir: &Path) -> Option<u32> {
        match acquire(&RealDisk, dir, Duration::ZERO) {
            Err(ArchiveError::Locked { path, pid }) if path == dir => pid,
            other => panic!("not locked: {:?}", other.map(|_| ())),
        }
    }

    #[test]
    fn locked_error_names_the_pid_of_the_holder() {
        let dir = tempfile::tempdir().unwrap();
        let lock = acquire(&RealDisk, dir.path(), Duration::ZERO).unwrap();
        assert_eq!(refused(dir.path()), Some(std::process::id()));
        for garbled in ["", "abc", "-1", "99999999999999999999"] {
            fs::write(lock_path(dir.path()), garbled).unwrap();
            assert_eq!(refused(dir.path()), None, "{garbled:?}");
        }
        drop(lock);
        assert_eq!(fs::read_to_string(lock_path(dir.path())).unwrap(), "", "nobody holds it");
    }

    #[test]
    fn lock_that_is_released_while_waiting_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let lock = acquire(&RealDisk, dir.path(), Duration::ZERO).unwrap();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| acquire(&RealDisk, dir.path(), Duration::from_secs(60)));
            thread::sleep(2 * RETRY_AFTER);
            drop(lock);
            assert!(waiting.join().unwrap().is_ok());
        });
    }

    #[test]
    fn taking_the_lock_keeps_the_time_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = lock_path(dir.path());
        fs::write(&path, "").unwrap();
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(400_000 * 60 * 60);
        File::options().write(true).open(&path).unwrap().set_modified(long_ago).unwrap();
        let _lock = acquire(&RealDisk, dir.path(), Duration::ZERO).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), long_ago);
    }

    #[test]
    fn downtime_is_logged_at_open() {
        let dir = tempfile::tempdir().unwrap();
        let path = lock_path(dir.path());
        let told = || logged(|| log_downtime(&RealDisk, dir.path(), 7));
        fs::write(&path, "").unwrap();
        assert_eq!(told(), "", "it was made just now");
        let long_ago = SystemTime::now() - Duration::from_secs(60 * 60);
        File::open(&path).unwrap().set_modified(long_ago).unwrap();
        let text = told();
        let from = humantime::format_rfc3339_seconds(long_ago).to_string();
        assert!(text.contains(&from) && text.contains("seconds=3600 unsettled=7"), "{text}");
        assert_eq!(told(), "", "now it is open");
    }

    #[test]
    fn lock_file_dated_before_1970_or_after_9999_is_accepted() {
        let dir = tempfile::tempdir().unwrap();
        let path = lock_path(dir.path());
        let year = Duration::from_secs(365 * 24 * 60 * 60);
        for (time, is_told) in [
            (SystemTime::UNIX_EPOCH - Duration::from_secs(1), true),
            (SystemTime::UNIX_EPOCH - 60 * year, true),
            (SystemTime::UNIX_EPOCH + 300 * year, false),
        ] {
            fs::write(&path, "").unwrap();
            File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
            let _lock = acquire(&RealDisk, dir.path(), Duration::ZERO).unwrap();
            let text = logged(|| log_downtime(&RealDisk, dir.path(), 7));
            assert_eq!(text.contains("from=1970-01-01T00:00:00Z"), is_told, "{time:?}: {text}");
        }
    }
}
