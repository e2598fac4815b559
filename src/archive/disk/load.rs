use std::{io, num::NonZeroU64, path::Path};

use super::{
    entry::Place,
    failure::Failure,
    file_io::read_full,
    index::Index,
    index_file,
    medium::{Medium, MediumFile},
    name::{Form, SegmentName},
    steps::Steps,
    walk::Step,
    warc::Meaning,
};

/// Takes what a sealed segment holds into the index: from its index file if that fits, else from the segment itself.
/// Says whether the index file was used.
pub(super) fn load_sealed(
    medium: &dyn Medium,
    dir: &Path,
    (name, form): (SegmentName, Form),
    index: &mut Index,
) -> Result<bool, Failure> {
    let path = name.path(dir, form);
    let file = medium.open_read(&path).map_err(Failure::to("open", &path))?;
    let length = file.len().map_err(Failure::to("read", &path))?;
    if let Some(records) = indexed(medium, dir, name, length) {
        let is_delivery = |record: &&(_, Meaning)| matches!(record.1, Meaning::Delivery { .. });
        index.reserve(records.iter().filter(is_delivery).count());
        for (place, meaning) in records {
            take(index, meaning, place);
        }
        return Ok(true);
    }
    load(&*file, &path, (name, form), index).map_err(Failure::to("read", &path))?;
    if let Some(missing) = missing(medium, dir, name, length) {
        index.note_damage(name, length);
        tracing::warn!(path = %path.display(), offset = length, missing, "the end of a segment is missing");
    }
    Ok(false)
}

/// Whether a segment has an index file, which may not fit it.
pub(super) fn index_exists(medium: &dyn Medium, dir: &Path, name: SegmentName) -> bool {
    medium.open_read(&name.index_path(dir)).is_ok()
}

/// How many bytes are missing at the end of a segment of this length, as far as its index file can tell.
pub(super) fn missing(
    medium: &dyn Medium,
    dir: &Path,
    name: SegmentName,
    length: u64,
) -> Option<NonZeroU64> {
    let text = index_text(medium, dir, name)?;
    index_file::missing(&text, name, length)
}

/// The index file of a segment, if there is one that can be read. What is no text does not fit, as an empty file does not.
fn index_text(medium: &dyn Medium, dir: &Path, name: SegmentName) -> Option<String> {
    let file = medium.open_read(&name.index_path(dir)).ok()?;
    Some(String::from_utf8(whole(&*file).ok()?).unwrap_or_default())
}

/// What the index file of a segment tells, if there is one that fits.
pub(super) fn indexed(
    medium: &dyn Medium,
    dir: &Path,
    name: SegmentName,
    length: u64,
) -> Option<Vec<(Place, Meaning)>> {
    let records = index_file::parse(&index_text(medium, dir, name)?, name, length);
    if records.is_none() {
        let path = name.index_path(dir);
        tracing::warn!(path = %path.display(), "an index file does not fit its segment, which is read instead");
    }
    records
}

/// What a segment holds, if no part of it is damaged.
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

fn whole(file: &dyn MediumFile) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(file.len()?).map_err(io::Error::other)?];
    let read = read_full(file, &mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Takes what is whole in a segment into the index, and says where it ends.
pub(super) fn load(
    file: &dyn MediumFile,
    path: &Path,
    (name, form): (SegmentName, Form),
    index: &mut Index,
) -> io::Result<u64> {
    let mut steps = Steps::of(file, name, form)?;
    let mut end = 0;
    while let Some(step) = steps.step()? {
        match step {
            Step::Record { offset, length, meaning } => {
                end = offset + length;
                take(index, meaning, Place { segment: name, offset, length });
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

fn take(index: &mut Index, meaning: Meaning, place: Place) {
    let of = match &meaning {
        Meaning::State { of, .. } => Some(*of),
        _ => None,
    };
    if !index.take(meaning, place) {
        tracing::debug!(delivery = ?of, "skipped the state of a delivery that is forgotten, or lost");
    }
}
