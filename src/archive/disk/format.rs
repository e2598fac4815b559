use std::{collections::BTreeMap, path::Path};

use super::{
    failure::Failure,
    file_io::read_full,
    medium::Medium,
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
        let mut start = vec![0; START];
        let read = read_full(&*file, &mut start, 0).map_err(Failure::to("read", &path))?;
        start.truncate(read);
        match format_in(&start, name.salt) {
            Some(format) if format > FORMAT => return Err(ArchiveError::Newer { path, format }),
            _ => {}
        }
    }
    Ok(())
}
