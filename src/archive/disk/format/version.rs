use std::{collections::BTreeMap, io, path::Path};

use super::{
    name::{Form, SegmentName},
    packed::{is_packed, unpack_start},
    warc::{FORMAT, format_in},
};
use crate::archive::{
    ArchiveError,
    disk::fs::{
        failure::Failure,
        file_io::read_full,
        medium::{Medium, MediumFile},
    },
};

/// The number of bytes read from the start of a segment: longer than its first record.
const START: usize = 4096;

/// Rejects segments of a later format version, before anything in the directory is changed or trusted.
pub(in crate::archive::disk) fn check_formats(
    medium: &dyn Medium,
    dir: &Path,
    segments: &BTreeMap<SegmentName, Form>,
) -> Result<(), ArchiveError> {
    for (name, form) in segments {
        let path = name.path(dir, *form);
        let file = medium.open_read(&path).map_err(Failure::to("open", &path))?;
        check_format(&*file, &path, *name)?;
    }
    Ok(())
}

/// Rejects a segment of a later format version.
pub(in crate::archive::disk) fn check_format(
    file: &dyn MediumFile,
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
fn format_of(file: &dyn MediumFile, name: SegmentName) -> io::Result<Option<u32>> {
    let mut start = vec![0; START];
    let read = read_full(file, &mut start, 0)?;
    start.truncate(read);
    let start = if is_packed(&start) { unpack_start(&start, START) } else { start };
    Ok(format_in(&start, name.salt))
}
