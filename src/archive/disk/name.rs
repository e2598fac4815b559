use std::{ffi::OsStr, path::Path, path::PathBuf};

use super::warc::Salt;

/// Names a segment: its place in the log, and the salt of its checksums. Sorts in the order of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SegmentName {
    pub(super) sequence: u64,
    pub(super) salt: Salt,
}

impl SegmentName {
    /// The file that it is written to.
    pub(super) fn open_path(self, dir: &Path) -> PathBuf {
        dir.join(format!("{self}.warc.open"))
    }

    /// The file that it is once nothing more will be written to it.
    pub(super) fn sealed_path(self, dir: &Path) -> PathBuf {
        dir.join(format!("{self}.warc"))
    }

    /// Reads a file name, and says whether the segment is sealed. Other files are none of ours.
    pub(super) fn parse(file_name: &OsStr) -> Option<(Self, bool)> {
        let text = file_name.to_str()?;
        let (stem, sealed) = match text.strip_suffix(".open") {
            Some(open) => (open.strip_suffix(".warc")?, false),
            None => (text.strip_suffix(".warc")?, true),
        };
        let (sequence, salt) = stem.split_once('-')?;
        let name = Self { sequence: sequence.parse().ok()?, salt: salt.parse().ok()? };
        (name.to_string() == stem).then_some((name, sealed))
    }
}

impl std::fmt::Display for SegmentName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:08}-{}", self.sequence, self.salt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        let name = SegmentName { sequence: 7, salt: Salt::random() };
        for (path, sealed) in
            [(name.open_path(Path::new("a")), false), (name.sealed_path(Path::new("a")), true)]
        {
            assert_eq!(SegmentName::parse(path.file_name().unwrap()), Some((name, sealed)));
        }
    }

    #[test]
    fn other_files_are_left_alone() {
        for name in ["inbox.lock", "a.warc", "1-00.warc", "00000001-0123456789abcdef.warc.gz"] {
            assert_eq!(SegmentName::parse(OsStr::new(name)), None, "{name}");
        }
    }
}
