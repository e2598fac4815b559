use std::{collections::BTreeMap, io, path::Path};

use super::{
    failure::Failure,
    file_io::read_full,
    medium::{Medium, MediumFile},
    name::{Form, SegmentName},
    warc::{FORMAT, format_in},
};
use crate::archive::ArchiveError;

/// More than the record has that a segment begins with.
const START: usize = 4096;

/// Refuses segments of a later version, before anything in the directory is changed.
pub(super) fn check_formats(
    medium: &dyn Medium,
    dir: &Path,
    segments: &BTreeMap<SegmentName, Form>,
) -> Result<(), ArchiveError> {
    // What was compressed was read before, by this version or an earlier one.
    for (name, form) in segments.iter().filter(|(_, form)| **form != Form::Packed) {
        let path = name.path(dir, *form);
        let file = medium.open_read(&path).map_err(Failure::to("open", &path))?;
        match format_of(&*file, *name).map_err(Failure::to("read", &path))? {
            Some(format) if format > FORMAT => return Err(ArchiveError::Newer { path, format }),
            _ => {}
        }
    }
    Ok(())
}

/// The format of a segment that is not compressed; `None` where it does not say, as a damaged one.
pub(super) fn format_of(file: &dyn MediumFile, name: SegmentName) -> io::Result<Option<u32>> {
    let mut start = vec![0; START];
    let read = read_full(file, &mut start, 0)?;
    start.truncate(read);
    Ok(format_in(&start, name.salt))
}
