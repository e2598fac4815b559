//! Checks whether the disk keeps synced data, as far as this can be observed.

use std::{
    fs,
    io::{self, IoSlice},
    path::Path,
    time::{Duration, Instant},
};

use super::{
    file_system::{DiskFile, FileSystem},
    mounts::{is_in_memory, type_of},
};

/// The number of small synced writes. On a disk that takes 5 ms per sync, that is 40 ms.
const SYNCS: u32 = 8;

/// The shortest plausible duration of a sync. The fastest drives take about 20 µs, which is 50,000 syncs a second: they
/// have capacitors, but the command must still reach them. A shorter sync did not reach a drive.
const IMPLAUSIBLE: Duration = Duration::from_micros(10);

/// Logs a warning if acknowledged deliveries would not survive a power failure.
pub(in crate::archive::disk) fn warn_if_not_durable(fs: &dyn FileSystem, dir: &Path) {
    let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let path = fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
    let kind = type_of(&mountinfo, &path.to_string_lossy());
    let path = dir.display();
    if let Some(kind) = kind.filter(|kind| is_in_memory(kind)) {
        tracing::warn!(%path, kind, "the archive is in memory: nothing of it outlives the machine");
        return;
    }
    match fastest_sync(fs, dir) {
        Ok(fastest) if is_implausible(fastest) => {
            tracing::warn!(%path, kind, ?fastest, "syncs are too fast to be true: a power failure may lose deliveries");
        }
        Ok(fastest) => tracing::debug!(%path, kind, ?fastest, "syncs take their time"),
        Err(error) => tracing::debug!(%path, kind, %error, "cannot try how long a sync takes"),
    }
}

fn is_implausible(fastest: Duration) -> bool {
    fastest < IMPLAUSIBLE
}

/// Writes a file about as long as a delivery, then syncs and removes it.
pub(in crate::archive::disk) fn try_write(fs: &dyn FileSystem, dir: &Path) -> io::Result<()> {
    let path = dir.join("inbox.probe");
    drop(fs.remove(&path));
    let file = fs.create(&path)?;
    let written = write_synced(&*file, &vec![0; 64 << 10]);
    let removed = fs.remove(&path);
    written.and(removed)
}

fn write_synced(file: &dyn DiskFile, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = file.write_vectored(&[IoSlice::new(bytes)])?;
        bytes = bytes.get(written..).filter(|_| written > 0).ok_or(io::ErrorKind::WriteZero)?;
    }
    file.sync_data()
}

fn fastest_sync(fs: &dyn FileSystem, dir: &Path) -> io::Result<Duration> {
    let path = dir.join("inbox.probe");
    // A process that was killed may have left it.
    drop(fs.remove(&path));
    let file = fs.create(&path)?;
    let sync = || {
        file.write_vectored(&[IoSlice::new(b"probe")])?;
        let begun = Instant::now();
        file.sync_data().map(|()| begun.elapsed())
    };
    let times: io::Result<Vec<_>> = (0..SYNCS).map(|_| sync()).collect();
    drop(fs.remove(&path));
    Ok(times?.into_iter().min().unwrap_or(Duration::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::disk::{DiskArchive, fs::real_disk::RealDisk, open::open, tests::logged};

    #[test]
    fn a_probe_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("inbox.probe"), "left by another").unwrap();
        assert!(fastest_sync(&RealDisk, dir.path()).unwrap() > Duration::ZERO);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn memory_is_known_for_what_it_is() {
        // A directory that is in memory on every Linux system.
        let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        if Path::new("/dev/shm").is_dir() && !mountinfo.is_empty() {
            assert!(type_of(&mountinfo, "/dev/shm/inbox").is_some_and(is_in_memory));
        }
    }

    #[test]
    fn a_directory_in_memory_is_named() {
        // Exists on every Linux system.
        if Path::new("/dev/shm").is_dir() {
            let dir = tempfile::tempdir_in("/dev/shm").unwrap();
            let text = logged(|| warn_if_not_durable(&RealDisk, dir.path()));
            assert!(text.contains("WARN") && text.contains("in memory"), "{text}");
            assert!(text.contains(&dir.path().display().to_string()), "{text}");
        }
    }

    #[test]
    fn opening_warns_of_a_directory_in_memory_unless_it_is_told_not_to_look() {
        if Path::new("/dev/shm").is_dir() {
            let dir = tempfile::tempdir_in("/dev/shm").unwrap();
            for probes in [true, false] {
                let builder = DiskArchive::builder(dir.path()).probe(probes);
                let text = logged(|| drop(open(builder, tokio::time::Instant::now()).unwrap()));
                assert_eq!(text.contains("the archive is in memory"), probes, "{text}");
            }
        }
    }

    #[test]
    fn syncs_that_reached_no_drive_are_told_from_those_of_fast_ones() {
        assert!(is_implausible(Duration::from_micros(2)));
        assert!(!is_implausible(Duration::from_micros(20)));
    }
}
