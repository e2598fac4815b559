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
    use super::*;

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
    fn only_what_is_gone_without_power_is_in_memory() {
        assert!(is_in_memory("tmpfs") && is_in_memory("ramfs"));
        assert!(!is_in_memory("ext4") && !is_in_memory("overlay") && !is_in_memory("zfs"));
    }
}
