//! The list of the segments of a backup, in the file `inbox.backup`. It marks a directory as a backup, and contains the
//! identity of each copied file, so that the next backup does not copy it again.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fmt::Write,
    io,
    path::{Path, PathBuf},
};

use crate::archive::disk::{
    format::name::{SegmentName, SegmentState},
    fs::{
        file_io::read_full,
        file_system::{Failure, FileSystem},
        replace::replace,
    },
};

const FILE_NAME: &str = "inbox.backup";
const FIRST_LINE: &str = "inbox-backup 1";
const LAST_LINE: &str = "complete";

/// The maximum length of a manifest, in bytes. The manifest of 100,000 segments is shorter.
const MAX_LENGTH: usize = 32 << 20;

/// A segment of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Copied {
    pub(super) segment_state: SegmentState,
    /// The length of the copy, in bytes.
    pub(super) length: u64,
    /// The identity of the copied file, if known.
    pub(super) identity: Option<String>,
}

/// The segments of a backup, by name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) segments: BTreeMap<SegmentName, Copied>,
    /// Whether the backup was completed.
    pub(super) is_complete: bool,
}

pub(super) fn manifest_path(dir: &Path) -> PathBuf {
    dir.join(FILE_NAME)
}

/// Returns true for the names of backup files other than segments.
pub(super) fn is_of_backup(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with(FILE_NAME))
}

impl Manifest {
    /// Reads the manifest of a backup; `None` if the directory has no manifest, and thus is not a backup. A line that
    /// cannot be parsed is skipped: its segment is copied again.
    pub(super) fn read(fs: &dyn FileSystem, dir: &Path) -> Result<Option<Self>, Failure> {
        let path = manifest_path(dir);
        let file = match fs.open_read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(Failure::to("open", &path))?,
        };
        let length = file.len().map_err(Failure::to("read", &path))?;
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(MAX_LENGTH).min(MAX_LENGTH)];
        let read = read_full(&*file, &mut bytes, 0).map_err(Failure::to("read", &path))?;
        bytes.truncate(read);
        Ok(Some(Self::parse(&String::from_utf8_lossy(&bytes))))
    }

    pub(super) fn write(&self, fs: &dyn FileSystem, dir: &Path) -> Result<(), Failure> {
        replace(fs, dir, &manifest_path(dir), self.print().as_bytes())
    }

    fn print(&self) -> String {
        let mut text = format!("{FIRST_LINE}\n");
        for (name, Copied { segment_state, length, identity }) in &self.segments {
            let file = name.path(Path::new(""), *segment_state);
            let identity = identity.as_deref().unwrap_or("-");
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{} {length} {identity}", file.display());
        }
        if self.is_complete {
            let _ = writeln!(text, "{LAST_LINE}");
        }
        text
    }

    fn parse(text: &str) -> Self {
        let Some(lines) = text.strip_prefix(FIRST_LINE) else { return Self::default() };
        let segments = lines.lines().filter_map(parse_line).collect();
        Self { segments, is_complete: lines.lines().next_back() == Some(LAST_LINE) }
    }
}

fn parse_line(line: &str) -> Option<(SegmentName, Copied)> {
    let (file, rest) = line.split_once(' ')?;
    let (length, identity) = rest.split_once(' ')?;
    let (name, segment_state) = SegmentName::parse(OsStr::new(file))?;
    let identity = Some(identity).filter(|word| *word != "-").map(str::to_owned);
    Some((name, Copied { segment_state, length: length.parse().ok()?, identity }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::disk::tests::a_place;

    #[test]
    fn manifest_reads_back_and_is_complete_only_with_its_last_line() {
        let name = a_place().segment;
        let identity = Some("1:2:3.4:5.6".to_owned());
        let copied = Copied { segment_state: SegmentState::Compressed, length: 7, identity };
        let other = SegmentName { sequence: 2, ..name };
        let unknown = Copied { segment_state: SegmentState::Active, length: 0, identity: None };
        let segments = BTreeMap::from([(name, copied), (other, unknown)]);
        let manifest = Manifest { segments, is_complete: true };
        let text = manifest.print();
        assert_eq!(Manifest::parse(&text), manifest);
        for end in 0..text.len() - 1 {
            assert!(!Manifest::parse(&text[..end]).is_complete, "it ends at {end}");
        }
        assert_eq!(Manifest::parse("something else\ncomplete\n"), Manifest::default());
    }
}
