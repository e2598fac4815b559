use std::{
    io,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use super::listing::Listing;
use crate::archive::{
    ArchiveError,
    disk::{
        format::version::check_formats,
        fs::{failure::Failure, file_system::FileSystem},
        index::Index,
        load::{Loading, load},
        maintain::inventory::{inspect, report},
    },
};

/// How long a directory is reread while a writer renames files during the read.
pub(in crate::archive::disk) const PATIENCE: Duration = Duration::from_secs(10);

/// Reads a directory that another process may write to: changes nothing, and loads the intact records.
pub(in crate::archive::disk) fn look(
    fs: &Arc<dyn FileSystem>,
    dir: &Path,
) -> Result<Index, ArchiveError> {
    let start = Instant::now();
    loop {
        match look_once(fs, dir, true) {
            // A segment was renamed between the listing and the read.
            Err(error) if is_missing(&error) && start.elapsed() < PATIENCE => {
                // If the directory itself is missing, waiting does not help.
                fs.list(dir).map_err(Failure::to("list", dir))?;
            }
            // A damaged index file must cost no more than the time to read the segments.
            Err(ArchiveError::Io { source, .. }) if source.kind() == io::ErrorKind::InvalidData => {
                return look_once(fs, dir, false);
            }
            result => return result,
        }
    }
}

fn look_once(
    fs: &Arc<dyn FileSystem>,
    dir: &Path,
    index_files: bool,
) -> Result<Index, ArchiveError> {
    let mut index = Index::default();
    let segments = Listing::of_dir(&**fs, dir)?.segments;
    check_formats(&**fs, dir, &segments)?;
    let loading = Loading { index_files, filters: false };
    for (name, segment_state) in segments {
        let path = name.path(dir, segment_state);
        let file = fs.open_read(&path).map_err(Failure::to("open", &path))?;
        load(fs, dir, (name, segment_state), &*file, loading, &mut index)?;
    }
    let (faults, _) = inspect(&**fs, dir)?;
    report(&faults, &mut index);
    Ok(index)
}

fn is_missing(error: &ArchiveError) -> bool {
    matches!(error, ArchiveError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
}
