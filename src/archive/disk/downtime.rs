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
    use std::{
        fs::{self, File},
        io::{self, Write},
        sync::{Arc, Mutex},
    };

    use super::{super::real_disk::RealDisk, *};

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_log_tells_from_when_to_when_it_was_not_open() {
        let dir = tempfile::tempdir().unwrap();
        let (path, log) = (lock_path(dir.path()), Log::default());
        let writer = log.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(subscriber, || {
            fs::write(&path, "").unwrap();
            tell(&RealDisk, dir.path(), 7);
            assert!(log.0.lock().unwrap().is_empty(), "it was made just now");
            let long_ago = SystemTime::now() - Duration::from_hours(1);
            File::open(&path).unwrap().set_modified(long_ago).unwrap();
            tell(&RealDisk, dir.path(), 7);
            let told = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
            let from = humantime::format_rfc3339_seconds(long_ago).to_string();
            assert!(told.contains(&from) && told.contains("seconds=3600 pending=7"), "{told}");
            tell(&RealDisk, dir.path(), 7);
            assert_eq!(log.0.lock().unwrap().len(), told.len(), "now it is open");
        });
    }
}
