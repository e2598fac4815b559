use std::path::Path;

use super::{
    failure::Failure,
    file_io::read_full,
    medium::Medium,
    name::SegmentName,
    warc::{FORMAT, format_in},
};
use crate::archive::ArchiveError;

/// More than the record has that a segment begins with.
const START: usize = 4096;

/// Refuses segments of a later version, before anything in the directory is changed.
pub(super) fn check_formats(
    medium: &dyn Medium,
    dir: &Path,
    segments: &[(SegmentName, bool)],
) -> Result<(), ArchiveError> {
    for (name, sealed) in segments {
        let path = if *sealed { name.sealed_path(dir) } else { name.open_path(dir) };
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
