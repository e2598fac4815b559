//! Segments with a failed sync.
//!
//! After a failed sync, the operating system shows bytes that are not on the disk, and a second sync succeeds without
//! writing them. The segment is therefore marked, and the next process that opens the archive rewrites it to another
//! file. The mark need not be durable: if the machine crashes, the cached bytes are lost too.

use std::path::{Path, PathBuf};

use super::{
    file_io::{read_full, write_all},
    file_system::{DiskFile, Failure, FileSystem},
};
use crate::archive::disk::{format::name::SegmentName, read::listing::UNFINISHED};

/// The number of bytes copied at a time.
const PIECE: usize = 512 * 1024;

/// Marks a segment that shows bytes that are not on the disk.
pub(in crate::archive::disk) fn mark(fs: &dyn FileSystem, dir: &Path, name: SegmentName) {
    let path = mark_path(dir, name);
    match fs.create(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            tracing::error!(path = %path.display(), %error, "cannot mark a segment as not synced");
        }
        _ => {}
    }
}

/// Makes an open segment, which is intact up to `end`, durable up to there. Returns the file to continue with.
pub(in crate::archive::disk) fn settle(
    fs: &dyn FileSystem,
    dir: &Path,
    name: SegmentName,
    file: Box<dyn DiskFile>,
    end: u64,
) -> Result<Box<dyn DiskFile>, Failure> {
    let path = name.open_path(dir);
    if fs.open_read(&mark_path(dir, name)).is_err() {
        let Err(error) = file.sync_data() else {
            return Ok(file);
        };
        tracing::error!(path = %path.display(), %error, "a sync failed: writing the segment afresh");
        mark(fs, dir, name);
    }
    rewrite(fs, dir, name, &*file, end)
}

/// Writes an open segment to another file, which takes its name. Returns that file.
pub(in crate::archive::disk) fn rewrite(
    fs: &dyn FileSystem,
    dir: &Path,
    name: SegmentName,
    old: &dyn DiskFile,
    end: u64,
) -> Result<Box<dyn DiskFile>, Failure> {
    let open = name.open_path(dir);
    let new = dir.join(format!("{name}.warc.open{UNFINISHED}"));
    // An earlier attempt may have left it.
    drop(fs.remove(&new));
    let file = fs.create(&new).map_err(Failure::to("create", &new))?;
    copy(old, &*file, end).map_err(Failure::to("write", &new))?;
    file.sync_data().map_err(Failure::to("sync", &new))?;
    fs.rename(&new, &open).map_err(Failure::to("rename", &new))?;
    fs.sync_dir(dir).map_err(Failure::to("sync", dir))?;
    // A mark that stays costs one more copy.
    drop(fs.remove(&mark_path(dir, name)));
    Ok(file)
}

fn copy(old: &dyn DiskFile, new: &dyn DiskFile, end: u64) -> std::io::Result<()> {
    let (mut piece, mut at) = (vec![0; PIECE], 0);
    while at < end {
        let read = read_full(old, &mut piece, at)?;
        let left = usize::try_from(end - at).unwrap_or(usize::MAX);
        let bytes = piece.get(..read.min(left)).unwrap_or_default();
        if bytes.is_empty() {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        write_all(new, &mut [std::io::IoSlice::new(bytes)])?;
        at += bytes.len() as u64;
    }
    Ok(())
}

fn mark_path(dir: &Path, name: SegmentName) -> PathBuf {
    dir.join(format!("{name}.warc.unsynced"))
}
