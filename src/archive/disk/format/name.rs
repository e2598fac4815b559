use std::{
    collections::BTreeMap,
    ffi::OsStr,
    io,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use super::{
    compressed::{decompress_start, is_compressed},
    warc::{FORMAT, Salt, format_in},
};
use crate::archive::{
    ArchiveError,
    disk::fs::{
        file_io::read_full,
        file_system::{DiskFile, Failure, FileSystem},
    },
};

/// The name of a segment: its sequence number in the log, and the salt of its checksums. Sorts in log order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::archive::disk) struct SegmentName {
    pub(in crate::archive::disk) sequence: u64,
    pub(in crate::archive::disk) salt: Salt,
}

/// The form of a segment file. If a segment exists in two forms, the later one is effective, because it was complete
/// when it was renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::archive::disk) enum SegmentState {
    /// The segment is being written, or was abandoned.
    Active,
    /// The segment is no longer appended to.
    Sealed,
    /// Sealed, with each record compressed.
    Compressed,
}

impl SegmentState {
    pub(in crate::archive::disk) const ALL: [Self; 3] =
        [Self::Active, Self::Sealed, Self::Compressed];

    fn suffix(self) -> &'static str {
        match self {
            Self::Active => ".warc.open",
            Self::Sealed => ".warc",
            Self::Compressed => ".warc.gz",
        }
    }
}

impl SegmentName {
    /// Returns a placeholder for a segment whose salt is unknown.
    pub(in crate::archive::disk) fn of_number(sequence: u64) -> Self {
        Self { sequence, salt: Salt::LEAST }
    }

    /// Returns the range of all names with this number.
    pub(in crate::archive::disk) fn all_of_number(sequence: u64) -> RangeInclusive<Self> {
        Self { sequence, salt: Salt::LEAST }..=Self { sequence, salt: Salt::GREATEST }
    }

    /// Returns the path of the file in this form.
    pub(in crate::archive::disk) fn path(self, dir: &Path, segment_state: SegmentState) -> PathBuf {
        dir.join(format!("{self}{}", segment_state.suffix()))
    }

    /// Returns the path of the file while it is being written.
    pub(in crate::archive::disk) fn open_path(self, dir: &Path) -> PathBuf {
        self.path(dir, SegmentState::Active)
    }

    /// Returns the path of the file once it is no longer written.
    pub(in crate::archive::disk) fn sealed_path(self, dir: &Path) -> PathBuf {
        self.path(dir, SegmentState::Sealed)
    }

    /// Returns the path of the index file.
    pub(in crate::archive::disk) fn index_path(self, dir: &Path) -> PathBuf {
        dir.join(format!("{self}.idx"))
    }

    /// Parses a file name into a segment name and form; `None` for other files.
    pub(in crate::archive::disk) fn parse(file_name: &OsStr) -> Option<(Self, SegmentState)> {
        let text = file_name.to_str()?;
        let (stem, segment_state) = SegmentState::ALL.into_iter().find_map(|segment_state| {
            Some((text.strip_suffix(segment_state.suffix())?, segment_state))
        })?;
        Some((Self::of_text(stem)?, segment_state))
    }

    /// Parses the name of an index file.
    pub(in crate::archive::disk) fn parse_index(file_name: &OsStr) -> Option<Self> {
        Self::of_text(file_name.to_str()?.strip_suffix(".idx")?)
    }

    /// Parses the output of [`Display`](std::fmt::Display).
    pub(in crate::archive::disk) fn of_text(stem: &str) -> Option<Self> {
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

/// The number of bytes read from the start of a segment: longer than its first record.
const START: usize = 4096;

/// Rejects segments of a later format version, before anything in the directory is changed or trusted.
pub(in crate::archive::disk) fn check_formats(
    fs: &dyn FileSystem,
    dir: &Path,
    segments: &BTreeMap<SegmentName, SegmentState>,
) -> Result<(), ArchiveError> {
    for (name, segment_state) in segments {
        let path = name.path(dir, *segment_state);
        let file = fs.open_read(&path).map_err(Failure::to("open", &path))?;
        check_format(&*file, &path, *name)?;
    }
    Ok(())
}

/// Rejects a segment of a later format version.
pub(in crate::archive::disk) fn check_format(
    file: &dyn DiskFile,
    path: &Path,
    name: SegmentName,
) -> Result<(), ArchiveError> {
    match format_of(file, name).map_err(Failure::to("read", path))? {
        Some(format) if format > FORMAT => {
            Err(ArchiveError::Newer { path: path.to_owned(), format })
        }
        _ => Ok(()),
    }
}

/// Returns the format version of a segment; `None` if it is unreadable, as in a damaged segment.
fn format_of(file: &dyn DiskFile, name: SegmentName) -> io::Result<Option<u32>> {
    let mut start = vec![0; START];
    let read = read_full(file, &mut start, 0)?;
    start.truncate(read);
    let start = if is_compressed(&start) { decompress_start(&start, START) } else { start };
    Ok(format_in(&start, name.salt))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        let name = SegmentName { sequence: 7, salt: Salt::random() };
        for segment_state in SegmentState::ALL {
            let path = name.path(Path::new("a"), segment_state);
            assert_eq!(SegmentName::parse(path.file_name().unwrap()), Some((name, segment_state)));
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
