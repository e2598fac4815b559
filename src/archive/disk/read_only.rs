use std::{
    io,
    path::Path,
    time::{Duration, Instant},
};

use super::{
    failure::Failure,
    format::check_formats,
    index::Index,
    listing::Listing,
    load::{load, load_sealed},
    medium::Medium,
    name::{Form, SegmentName},
};
use crate::archive::ArchiveError;

/// For how long a directory is looked at again, while a writer renames what is read.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads a directory that another process may write to: changes nothing, and takes what is whole.
pub(super) fn look(medium: &dyn Medium, dir: &Path) -> Result<Index, ArchiveError> {
    let start = Instant::now();
    loop {
        match look_once(medium, dir) {
            // Between the listing and the reading a segment got another name.
            Err(error) if is_missing(&error) && start.elapsed() < PATIENCE => {
                // Where the directory itself is missing, waiting helps nothing.
                medium.list(dir).map_err(Failure::to("list", dir))?;
            }
            result => return result,
        }
    }
}

fn look_once(medium: &dyn Medium, dir: &Path) -> Result<Index, ArchiveError> {
    let mut index = Index::default();
    let segments = Listing::of_dir(medium, dir)?.segments;
    check_formats(medium, dir, &segments)?;
    for (name, form) in segments {
        look_at(medium, dir, (name, form), &mut index)?;
    }
    index.check_complete()?;
    Ok(index)
}

fn look_at(
    medium: &dyn Medium,
    dir: &Path,
    (name, form): (SegmentName, Form),
    index: &mut Index,
) -> Result<(), Failure> {
    if form != Form::Open {
        return load_sealed(medium, dir, (name, form), index).map(|_| ());
    }
    let path = name.open_path(dir);
    let file = medium.open_read(&path).map_err(Failure::to("open", &path))?;
    load(&*file, &path, (name, form), index).map(|_| ()).map_err(Failure::to("read", &path))
}

fn is_missing(error: &ArchiveError) -> bool {
    matches!(error, ArchiveError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
}
