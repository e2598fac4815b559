use std::{io, num::NonZeroU64, path::Path, sync::Arc};

use super::{
    format::{
        entry::Place,
        index_file::{IndexFile, Unfit},
        name::{Form, SegmentName},
        warc::Meaning,
    },
    fs::{
        failure::Failure,
        medium::{Medium, MediumFile},
    },
    index::Index,
    maintain::inventory::note_if_empty,
    read::{steps::Steps, walk::Step},
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
    medium: &Arc<dyn Medium>,
    dir: &Path,
    (name, form): (SegmentName, Form),
    file: &dyn MediumFile,
    loading: Loading,
    index: &mut Index,
) -> Result<Loaded, Failure> {
    let path = name.path(dir, form);
    let length = file.len().map_err(Failure::to("read", &path))?;
    let mut missing = None;
    let mut from = 0;
    index.add_segment(name, form);
    if loading.index_files {
        match IndexFile::open(medium, name.index_path(dir), (name, form), length) {
            Ok(found) => {
                from = found.length();
                warn_of_damage(&found, &path);
                let found = if loading.filters { found.with_filters()? } else { found };
                index.add_file(name, found)?;
            }
            Err(Unfit::Missing) => {}
            Err(Unfit::Longer(by)) => missing = Some(by),
            Err(Unfit::Other(error)) => {
                let path = name.index_path(dir);
                tracing::warn!(path = %path.display(), %error, "an index file does not fit its segment, which is read instead");
            }
        }
    }
    let indexed = from > 0;
    let end = if indexed && from == length {
        length
    } else {
        walk(file, &path, (name, form), from, index)?
    };
    if let Some(missing) = missing {
        note_missing_end(&path, name, length, missing, index);
    } else if form != Form::Open {
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
    file: &dyn MediumFile,
    name: SegmentName,
    form: Form,
) -> io::Result<Option<Vec<(Place, Meaning)>>> {
    let mut steps = Steps::of(file, name, form)?;
    let mut records = Vec::new();
    while let Some(step) = steps.step()? {
        let Step::Record { offset, length, meaning } = step else {
            return Ok(None);
        };
        records.push((Place { segment: name, offset, length }, meaning));
    }
    Ok(Some(records))
}

/// Adds the intact records of a segment, starting at this offset, to the index, and returns the offset at which they
/// end.
fn walk(
    file: &dyn MediumFile,
    path: &Path,
    (name, form): (SegmentName, Form),
    from: u64,
    index: &mut Index,
) -> Result<u64, Failure> {
    let unread = || Failure::to("read", path);
    let mut steps = Steps::starting_at(file, name, form, from).map_err(unread())?;
    let mut end = from;
    while let Some(step) = steps.step().map_err(unread())? {
        match step {
            Step::Record { offset, length, meaning } => {
                end = offset + length;
                take(index, meaning, Place { segment: name, offset, length })?;
            }
            Step::Damage { offset, length, .. } => {
                end = offset + length;
                index.note_damage(name, offset);
                tracing::warn!(path = %path.display(), offset, length, "skipped damaged bytes");
            }
            Step::Torn { offset } => {
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
