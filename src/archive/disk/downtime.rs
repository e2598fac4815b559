use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::medium::Medium;

/// The lock of an archive. While one is open, the time of the file is that at which it was last seen so.
pub(super) fn lock_path(dir: &Path) -> PathBuf {
    dir.join("inbox.lock")
}

/// Below this nothing was down: it was closed and opened again.
const SHORTEST: Duration = Duration::from_secs(2);

/// Notes that the archive is open, and tells the log from when to when it was not.
pub(super) fn tell(medium: &dyn Medium, dir: &Path, pending: usize) {
    let (last, now) = (medium.note_time(&lock_path(dir)), SystemTime::now());
    let Some((from, down)) = last.and_then(|last| Some((last, now.duration_since(last).ok()?)))
    else {
        return;
    };
    if down >= SHORTEST {
        tracing::info!(
            path = %dir.display(),
            from = %humantime::format_rfc3339_seconds(from),
            to = %humantime::format_rfc3339_seconds(now),
            seconds = down.as_secs(),
            pending,
            "the archive was not open: nothing was received in this time"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::{
        super::{real_disk::RealDisk, tests::logged},
        *,
    };

    #[test]
    fn the_log_tells_from_when_to_when_it_was_not_open() {
        let dir = tempfile::tempdir().unwrap();
        let path = lock_path(dir.path());
        let told = || logged(|| tell(&RealDisk, dir.path(), 7));
        fs::write(&path, "").unwrap();
        assert_eq!(told(), "", "it was made just now");
        let long_ago = SystemTime::now() - Duration::from_hours(1);
        File::open(&path).unwrap().set_modified(long_ago).unwrap();
        let text = told();
        let from = humantime::format_rfc3339_seconds(long_ago).to_string();
        assert!(text.contains(&from) && text.contains("seconds=3600 pending=7"), "{text}");
        assert_eq!(told(), "", "now it is open");
    }
}
