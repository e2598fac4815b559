//! Copies one segment from a directory that another process may write to.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::manifest::Copied;
use crate::archive::{
    ArchiveError,
    disk::{
        format::{
            index_file::missing,
            name::{SegmentName, SegmentState, check_format},
        },
        fs::{
            file_io::read_full,
            file_system::{DiskFile, Failure, FileSystem},
            replace::{self, Replacement},
        },
        read::scanner::{RecordScanner, Scanned},
    },
};

/// The number of bytes per read.
const PIECE: usize = 512 * 1024;

/// The number of attempts to copy a segment that is being written before invalid data counts as damage. A failed batch
/// is truncated and overwritten by the next one: a copy made at that moment contains parts of both.
const ATTEMPTS: usize = 3;

/// One open segment of an archive. A file is never changed after it is sealed: all reads see one version of the
/// segment, even if the file is renamed, replaced or removed in the meantime.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) name: SegmentName,
    pub(super) segment_state: SegmentState,
    path: PathBuf,
    file: Box<dyn DiskFile>,
    identity: Option<String>,
}

/// A durable copy, not yet renamed to its final name.
#[derive(Debug)]
pub(super) struct Copy {
    pub(super) unfinished: PathBuf,
    pub(super) copied: Copied,
    pub(super) is_damaged: bool,
}

/// The extent of the records in a segment.
struct Extent {
    /// The end of the last record.
    end: u64,
    is_damaged: bool,
}

impl Source {
    /// Opens a segment in its most recent form; `None` if it was removed, or renamed at this moment.
    pub(super) fn open(
        fs: &dyn FileSystem,
        dir: &Path,
        name: SegmentName,
    ) -> Result<Option<Self>, ArchiveError> {
        for segment_state in SegmentState::ALL.into_iter().rev() {
            let path = name.path(dir, segment_state);
            let file = match fs.open_read(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other.map_err(Failure::to("open", &path))?,
            };
            check_format(&*file, &path, name)?;
            let identity = file.version();
            return Ok(Some(Self { name, segment_state, path, file, identity }));
        }
        Ok(None)
    }

    pub(super) fn length(&self) -> u64 {
        self.file.len().unwrap_or(0)
    }

    /// Returns true if this is the file that was copied before. A segment that is being written counts as changed.
    pub(super) fn is(&self, copied: &Copied) -> bool {
        self.segment_state != SegmentState::Active
            && self.segment_state == copied.segment_state
            && self.identity.is_some()
            && self.identity == copied.identity
    }

    /// Copies the segment durably to another directory, under the name of an unfinished file. Of a segment that is
    /// being written, only whole records are copied. `progress` is called with the number of bytes of each piece.
    pub(super) fn copy_to(
        &self,
        fs: &dyn FileSystem,
        (from, to): (&Path, &Path),
        progress: &mut dyn FnMut(u64),
    ) -> Result<Copy, Failure> {
        let path = self.name.path(to, self.segment_state);
        let copy = self.try_copy_to(fs, &path, progress);
        let mut copy = copy.inspect_err(|_| drop(replace::abandon(fs, &path)))?;
        // An index file that exists now does not belong to an earlier version, which may have been longer: it is
        // removed before a new version takes the name of the segment.
        let length = copy.copied.length;
        copy.is_damaged |= self.segment_state != SegmentState::Active
            && missing(fs, from, self.name, length).is_some();
        Ok(copy)
    }

    fn try_copy_to(
        &self,
        fs: &dyn FileSystem,
        path: &Path,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Copy, Failure> {
        let attempts = if self.segment_state == SegmentState::Active { ATTEMPTS } else { 1 };
        let mut attempt = 1;
        loop {
            let end = self.end().map_err(Failure::to("read", &self.path))?;
            let copy = self.copy_up_to(end, fs, path, progress)?;
            if !copy.is_damaged && copy.copied.length == end || attempt >= attempts {
                return Ok(copy);
            }
            attempt += 1;
        }
    }

    /// Returns the offset at which the copy must end.
    fn end(&self) -> io::Result<u64> {
        match self.segment_state {
            SegmentState::Active => Ok(extent(&*self.file, self.name, self.segment_state)?.end),
            SegmentState::Sealed | SegmentState::Compressed => self.file.len(),
        }
    }

    fn copy_up_to(
        &self,
        end: u64,
        fs: &dyn FileSystem,
        path: &Path,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Copy, Failure> {
        let mut new = Replacement::begin(fs, path)?;
        let (mut piece, mut at) = (vec![0; PIECE], 0);
        while at < end {
            let read = read_full(&*self.file, &mut piece, at);
            let read = read.map_err(Failure::to("read", &self.path))?;
            let left = usize::try_from(end - at).unwrap_or(usize::MAX);
            // A failed batch may have been truncated in the meantime.
            let Some(bytes) = piece.get(..read.min(left)).filter(|bytes| !bytes.is_empty()) else {
                break;
            };
            new.write(bytes)?;
            at += bytes.len() as u64;
            progress(bytes.len() as u64);
        }
        let length = new.length();
        let unfinished = new.finish()?;
        let is_damaged = self.segment_state == SegmentState::Active && length < end
            || is_damaged(fs, &unfinished, self.name, self.segment_state)?;
        let copied =
            Copied { segment_state: self.segment_state, length, identity: self.identity.clone() };
        Ok(Copy { unfinished, copied, is_damaged })
    }
}

/// Returns true if a segment file contains anything other than whole records.
pub(super) fn is_damaged(
    fs: &dyn FileSystem,
    path: &Path,
    name: SegmentName,
    segment_state: SegmentState,
) -> Result<bool, Failure> {
    let file = fs.open_read(path).map_err(Failure::to("open", path))?;
    let extent = extent(&*file, name, segment_state).map_err(Failure::to("read", path))?;
    let length = file.len().map_err(Failure::to("read", path))?;
    // A segment is never sealed while it is empty.
    let is_empty = length == 0 && segment_state != SegmentState::Active;
    Ok(extent.is_damaged || extent.end < length || is_empty)
}

fn extent(
    file: &dyn DiskFile,
    name: SegmentName,
    segment_state: SegmentState,
) -> io::Result<Extent> {
    let mut extent = Extent { end: 0, is_damaged: false };
    let mut steps = RecordScanner::of(file, name, segment_state)?;
    while let Some(step) = steps.read_next()? {
        match step {
            Scanned::Record { offset, length, .. } => extent.end = offset + length,
            Scanned::Damage { offset, length, .. } => {
                extent = Extent { end: offset + length, is_damaged: true };
            }
            Scanned::Torn { .. } => {}
        }
    }
    Ok(extent)
}
