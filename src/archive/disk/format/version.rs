use std::{collections::BTreeMap, io, path::Path};

use super::{
    compressed::{decompress_start, is_compressed},
    name::{SegmentName, SegmentState},
    warc::{FORMAT, format_in},
};
use crate::archive::{
    ArchiveError,
    disk::fs::{
        failure::Failure,
        file_io::read_full,
        file_system::{DiskFile, FileSystem},
    },
};

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
