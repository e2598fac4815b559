use std::{
    ffi::OsStr,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use super::warc::Salt;

/// Names a segment: its place in the log, and the salt of its checksums. Sorts in the order of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SegmentName {
    pub(super) sequence: u64,
    pub(super) salt: Salt,
}

/// What a file of a segment is. Of two files of one segment the later form counts: it was whole when it got its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Form {
    /// It is being written, or was given up.
    Open,
    /// Nothing more is appended to it.
    Sealed,
    /// Sealed, and each record is compressed.
    Packed,
}

impl Form {
    pub(super) const ALL: [Self; 3] = [Self::Open, Self::Sealed, Self::Packed];

    fn suffix(self) -> &'static str {
        match self {
            Self::Open => ".warc.open",
            Self::Sealed => ".warc",
            Self::Packed => ".warc.gz",
        }
    }
}

impl SegmentName {
    /// Stands for a segment of which only the number is known.
    pub(super) fn of_number(sequence: u64) -> Self {
        Self { sequence, salt: Salt::LEAST }
    }

    /// The names of all segments with this number.
    pub(super) fn all_of_number(sequence: u64) -> RangeInclusive<Self> {
        Self { sequence, salt: Salt::LEAST }..=Self { sequence, salt: Salt::GREATEST }
    }

    /// The file of this form.
    pub(super) fn path(self, dir: &Path, form: Form) -> PathBuf {
        dir.join(format!("{self}{}", form.suffix()))
    }

    /// The file that it is written to.
    pub(super) fn open_path(self, dir: &Path) -> PathBuf {
        self.path(dir, Form::Open)
    }

    /// The file that it is once nothing more will be written to it.
    pub(super) fn sealed_path(self, dir: &Path) -> PathBuf {
        self.path(dir, Form::Sealed)
    }

    /// The file that tells what the segment holds.
    pub(super) fn index_path(self, dir: &Path) -> PathBuf {
        dir.join(format!("{self}.idx"))
    }

    /// Reads a file name, and says what form the segment has there. Other files are no segments.
    pub(super) fn parse(file_name: &OsStr) -> Option<(Self, Form)> {
        let text = file_name.to_str()?;
        let (stem, form) = Form::ALL
            .into_iter()
            .find_map(|form| Some((text.strip_suffix(form.suffix())?, form)))?;
        Some((Self::of_text(stem)?, form))
    }

    /// Reads the name of an index file.
    pub(super) fn parse_index(file_name: &OsStr) -> Option<Self> {
        Self::of_text(file_name.to_str()?.strip_suffix(".idx")?)
    }

    /// Reads what [`Display`](std::fmt::Display) prints.
    pub(super) fn of_text(stem: &str) -> Option<Self> {
        let (sequence, salt) = stem.split_once('-')?;
        let name = Self { sequence: sequence.parse().ok()?, salt: salt.parse().ok()? };
        (name.to_string() == stem).then_some(name)
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
        for form in Form::ALL {
            let path = name.path(Path::new("a"), form);
            assert_eq!(SegmentName::parse(path.file_name().unwrap()), Some((name, form)));
        }
        let index = name.index_path(Path::new("a"));
        assert_eq!(SegmentName::parse_index(index.file_name().unwrap()), Some(name));
    }

    #[test]
    fn other_files_are_left_alone() {
        for name in ["inbox.lock", "a.warc", "1-00.warc", "00000001-0123456789abcdef.warc.gz.tmp"] {
            assert_eq!(SegmentName::parse(OsStr::new(name)), None, "{name}");
        }
    }
}
