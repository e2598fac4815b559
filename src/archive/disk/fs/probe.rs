//! Checks whether the disk keeps synced data, as far as this can be observed.

use std::{
    fs,
    io::{self, IoSlice},
    path::Path,
    time::{Duration, Instant},
};

use super::file_system::{DiskFile, FileSystem};

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

/// Returns the type of the file system at this path, from the text of `/proc/self/mountinfo` (Linux, `proc(5)`).
pub(in crate::archive::disk) fn type_of<'t>(mountinfo: &'t str, path: &str) -> Option<&'t str> {
    let lines = mountinfo.lines().filter_map(mount);
    let above = lines.filter(|(point, _)| is_below(path, &unescaped(point)));
    // If two are mounted at the same place, the later one hides the earlier.
    above.max_by_key(|(point, _)| unescaped(point).len()).map(|(_, kind)| kind)
}

/// Returns whether files on this type of file system are lost when the machine is switched off.
pub(in crate::archive::disk) fn is_in_memory(kind: &str) -> bool {
    ["tmpfs", "ramfs", "devtmpfs"].contains(&kind)
}

/// Parses the mount point and the type: the fifth field, and the first field after the dash.
fn mount(line: &str) -> Option<(&str, &str)> {
    let (place, what) = line.split_once(" - ")?;
    Some((place.split(' ').nth(4)?, what.split(' ').next()?))
}

fn is_below(path: &str, point: &str) -> bool {
    let rest = path.strip_prefix(point.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Decodes octal escapes, which are used for blanks and similar characters.
fn unescaped(point: &str) -> String {
    let escapes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    escapes.iter().fold(point.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::{super::real_disk::RealDisk, *};
    use crate::archive::disk::{DiskArchive, open::open, tests::logged};

    #[test]
    fn a_probe_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("inbox.probe"), "left by another").unwrap();
        assert!(fastest_sync(&RealDisk, dir.path()).unwrap() > Duration::ZERO);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn directory_on_tmpfs_is_detected() {
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
    fn opening_warns_of_a_directory_on_tmpfs_unless_the_probe_is_disabled() {
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
    fn syncs_that_reach_no_drive_are_distinguished_from_fast_drives() {
        assert!(is_implausible(Duration::from_micros(2)));
        assert!(!is_implausible(Duration::from_micros(20)));
    }

    const MOUNTINFO: &str = "\
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
25 24 0:23 / /dev/shm rw,relatime shared:4 - tmpfs tmpfs rw,size=24684084k
30 27 0:30 / /data rw - xfs /dev/vdb rw
31 30 0:31 / /data/my\\040inbox rw - tmpfs none rw
32 27 0:32 / /twice rw - ext4 /dev/vdc rw
33 27 0:33 / /twice rw - ramfs none rw
not a mount
";

    #[test]
    fn the_deepest_mount_point_above_a_path_counts_and_of_two_the_later() {
        for (path, kind) in [
            ("/", "ext4"),
            ("/home/inbox", "ext4"),
            ("/dev/shm", "tmpfs"),
            ("/dev/shm/inbox", "tmpfs"),
            ("/dev/shmem", "ext4"),
            ("/data/inbox", "xfs"),
            ("/data/my inbox", "tmpfs"),
            ("/twice/a", "ramfs"),
        ] {
            assert_eq!(type_of(MOUNTINFO, path), Some(kind), "{path}");
        }
        assert_eq!(type_of("", "/"), None);
    }

    #[test]
    fn only_volatile_file_systems_count_as_memory() {
        assert!(is_in_memory("tmpfs") && is_in_memory("ramfs"));
        assert!(!is_in_memory("ext4") && !is_in_memory("overlay") && !is_in_memory("zfs"));
    }
}
