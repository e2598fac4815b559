use std::{io, num::NonZeroU64, path::Path, sync::Arc};

use super::{
    format::{
        entry::Place,
        index_file::{IndexFile, IndexMismatch},
        name::{SegmentName, SegmentState},
        warc::Meaning,
    },
    fs::{
        failure::Failure,
        file_system::{DiskFile, FileSystem},
    },
    index::Index,
    maintain::inventory::note_if_empty,
    read::scanner::{RecordScanner, Scanned},
};

/// How segments are loaded into an index.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loading {
    /// Whether index files are used. Without them every segment is read.
    pub(super) index_files: bool,
    /// Whether fingerprints will be looked up.
    pub(super) filters: bool,
}

/// A loaded segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loaded {
    /// The offset at which its last record ends.
    pub(super) end: u64,
    /// Whether its index file was used.
    pub(super) indexed: bool,
}

/// Loads the contents of a segment into the index: from its index file as far as that goes, otherwise from the segment.
pub(super) fn load(
    fs: &Arc<dyn FileSystem>,
    dir: &Path,
    (name, segment_state): (SegmentName, SegmentState),
    file: &dyn DiskFile,
    loading: Loading,
    index: &mut Index,
) -> Result<Loaded, Failure> {
    let path = name.path(dir, segment_state);
    let length = file.len().map_err(Failure::to("read", &path))?;
    let mut missing = None;
    let mut from = 0;
    index.add_segment(name, segment_state);
    if loading.index_files {
        match IndexFile::open(fs, name.index_path(dir), (name, segment_state), length) {
            Ok(found) => {
                from = found.length();
                warn_of_damage(&found, &path);
                let found = if loading.filters { found.with_filters()? } else { found };
                index.add_file(name, found)?;
            }
            Err(IndexMismatch::Missing) => {}
            Err(IndexMismatch::Longer(by)) => missing = Some(by),
            Err(IndexMismatch::Other(error)) => {
                let path = name.index_path(dir);
                tracing::warn!(path = %path.display(), %error, "an index file does not fit its segment, which is read instead");
            }
        }
    }
    let indexed = from > 0;
    let end = if indexed && from == length {
        length
    } else {
        walk(file, &path, (name, segment_state), from, index)?
    };
    if let Some(missing) = missing {
        note_missing_end(&path, name, length, missing, index);
    } else if segment_state != SegmentState::Active {
        note_if_empty(&path, length, name, index);
    }
    Ok(Loaded { end, indexed })
}

fn warn_of_damage(file: &IndexFile, path: &Path) {
    for (offset, _) in file.damages() {
        tracing::warn!(path = %path.display(), offset, "skipped damaged bytes");
    }
}

fn note_missing_end(
    path: &Path,
    name: SegmentName,
    length: u64,
    missing: NonZeroU64,
    index: &mut Index,
) {
    index.note_cut(name, length);
    tracing::warn!(path = %path.display(), offset = length, missing, "the end of a segment is missing");
}

/// Returns the records of a segment; `None` if a part of it is damaged.
pub(super) fn records(
    file: &dyn DiskFile,
    name: SegmentName,
    segment_state: SegmentState,
) -> io::Result<Option<Vec<(Place, Meaning)>>> {
    let mut steps = RecordScanner::of(file, name, segment_state)?;
    let mut records = Vec::new();
    while let Some(step) = steps.read_next()? {
        let Scanned::Record { offset, length, meaning } = step else {
            return Ok(None);
        };
        records.push((Place { segment: name, offset, length }, meaning));
    }
    Ok(Some(records))
}

/// Adds the intact records of a segment, starting at this offset, to the index, and returns the offset at which they
/// end.
fn walk(
    file: &dyn DiskFile,
    path: &Path,
    (name, segment_state): (SegmentName, SegmentState),
    from: u64,
    index: &mut Index,
) -> Result<u64, Failure> {
    let unread = || Failure::to("read", path);
    let mut steps = RecordScanner::starting_at(file, name, segment_state, from).map_err(unread())?;
    let mut end = from;
    while let Some(step) = steps.read_next().map_err(unread())? {
        match step {
            Scanned::Record { offset, length, meaning } => {
                end = offset + length;
                take(index, meaning, Place { segment: name, offset, length })?;
            }
            Scanned::Damage { offset, length, .. } => {
                end = offset + length;
                index.note_damage(name, offset);
                tracing::warn!(path = %path.display(), offset, length, "skipped damaged bytes");
            }
            Scanned::Torn { offset } => {
                tracing::warn!(path = %path.display(), offset, "the end of a segment is torn");
            }
        }
    }
    Ok(end)
}

fn take(index: &mut Index, meaning: Meaning, place: Place) -> Result<(), Failure> {
    let of = match &meaning {
        Meaning::State { of, .. } => Some(*of),
        _ => None,
    };
    if !index.take(meaning, place)? {
        tracing::debug!(delivery = ?of, "skipped the state of a delivery that is forgotten, or lost");
    }
    Ok(())
}
