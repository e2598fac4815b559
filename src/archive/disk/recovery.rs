use std::{io, num::NonZeroU64, path::Path, sync::Arc};

use super::{
    format::{
        entry::Place,
        index_file::{IndexFile, IndexMismatch},
        name::{SegmentName, SegmentState, check_formats},
        warc::Meaning,
    },
    fs::{
        file_system::{DiskFile, Failure, FileSystem},
        unsynced,
    },
    index::Index,
    maintain::inventory::{Inventory, note_if_empty},
    read::{
        listing::Listing,
        scanner::{RecordScanner, Scanned},
    },
    write::{
        log::{Log, seal},
        segment::Segment,
    },
};
use crate::archive::ArchiveError;

/// Reads a directory of segments into an index, repairs the effects of a crash, and resumes at the end of the log.
#[derive(Debug)]
pub(super) struct Recovery {
    index: Index,
    log: Log,
    loading: Loading,
    bytes_cut: u64,
    /// The number of segments loaded from their index file alone.
    indexed: usize,
}

/// Reads the sealed segments, or their index files. Segments that were being written are also repaired.
pub(super) fn recover(
    fs: &Arc<dyn FileSystem>,
    dir: &Path,
    segment_size: u64,
) -> Result<(Index, Log, Inventory), ArchiveError> {
    // The process may have died between creating a file and making its name durable.
    fs.sync_dir(dir).map_err(Failure::to("sync", dir))?;
    let listing = Listing::of_dir(&**fs, dir)?;
    check_formats(&**fs, dir, &listing.segments)?;
    remove_leftovers(&**fs, dir, &listing);
    let inventory = Inventory::open(&**fs, dir, &listing);
    let loading = Loading { index_files: true, filters: true };
    let recovery = Recovery::all(fs, dir, segment_size, &listing, loading);
    let mut recovery = recovery.or_else(|failure| {
        // A damaged index file must cost no more than the time to read the segments.
        let source = std::error::Error::source(&failure);
        tracing::warn!(error = %failure, source, "reading every segment, without the index files");
        let listing = Listing::of_dir(&**fs, dir)?;
        let loading = Loading { index_files: false, ..loading };
        Recovery::all(fs, dir, segment_size, &listing, loading)
    })?;
    // The number of a missing segment is not reused, because that would hide the loss.
    let highest = inventory.highest();
    recovery.log.next_sequence = recovery.log.next_sequence.max(highest.saturating_add(1));
    inventory.report(&mut recovery.index);
    tracing::info!(
        path = %recovery.log.dir.display(),
        segments = listing.segments.len(),
        indexed = recovery.indexed,
        deliveries = recovery.index.len(),
        unsettled = recovery.index.unsettled(),
        bytes_cut = recovery.bytes_cut,
        "opened the disk archive"
    );
    Ok((recovery.index, recovery.log, inventory))
}

/// Removes leftover files. They do no harm, so failures are retried at the next start.
fn remove_leftovers(fs: &dyn FileSystem, dir: &Path, listing: &Listing) {
    for path in listing.leftover_paths(dir) {
        match fs.remove(&path) {
            Ok(()) => tracing::info!(path = %path.display(), "removed what an interruption left"),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "cannot remove what an interruption left");
            }
        }
    }
}

impl Recovery {
    fn all(
        fs: &Arc<dyn FileSystem>,
        dir: &Path,
        segment_size: u64,
        listing: &Listing,
        loading: Loading,
    ) -> Result<Self, Failure> {
        let (fs, dir) = (Arc::clone(fs), dir.to_owned());
        let log = Log::new(fs, dir, segment_size);
        let mut recovery = Self { index: Index::default(), log, loading, bytes_cut: 0, indexed: 0 };
        for (name, segment_state) in &listing.segments {
            recovery.segment(*name, *segment_state)?;
        }
        Ok(recovery)
    }

    fn segment(&mut self, name: SegmentName, segment_state: SegmentState) -> Result<(), Failure> {
        self.log.next_sequence = name.sequence.saturating_add(1);
        // If two segments were being written, the first was abandoned.
        self.seal_open()?;
        if segment_state == SegmentState::Active {
            return self.open_segment(name);
        }
        let Log { fs, dir, .. } = &self.log;
        let path = name.path(dir, segment_state);
        let file = fs.open_read(&path).map_err(Failure::to("open", &path))?;
        let loaded = load(fs, dir, (name, segment_state), &*file, self.loading, &mut self.index)?;
        self.indexed += usize::from(loaded.indexed);
        Ok(())
    }

    fn open_segment(&mut self, name: SegmentName) -> Result<(), Failure> {
        let path = name.open_path(&self.log.dir);
        let file = self.log.fs.open_append(&path).map_err(Failure::to("open", &path))?;
        let Log { fs, dir, .. } = &self.log;
        let loaded =
            load(fs, dir, (name, SegmentState::Active), &*file, self.loading, &mut self.index)?;
        self.indexed += usize::from(loaded.indexed);
        let end = loaded.end;
        self.cut(&*file, &path, end)?;
        let file = unsynced::settle(&*self.log.fs, &self.log.dir, name, file, end)?;
        let is_full = end >= self.log.segment_size;
        self.log.open = Some(Segment::resume(name, path, file, end));
        if is_full { self.seal_open() } else { Ok(()) }
    }

    fn seal_open(&mut self) -> Result<(), Failure> {
        match self.log.open.take() {
            // An empty open segment is not yet a segment. A sealed segment that is empty has lost its contents.
            Some(segment) if segment.durable_length() == 0 => Ok(()),
            Some(segment) => seal(&*self.log.fs, &self.log.dir, segment.name()),
            None => Ok(()),
        }
    }

    /// Truncates a torn end, so that nothing is appended to it.
    fn cut(&mut self, file: &dyn DiskFile, path: &Path, end: u64) -> Result<(), Failure> {
        let length = file.len().map_err(Failure::to("read", path))?;
        if length > end {
            file.set_len(end).map_err(Failure::to("cut", path))?;
            self.bytes_cut += length - end;
        }
        Ok(())
    }
}

/// How segments are loaded into an index.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loading {
    /// Whether index files are used. Without them every segment is read.
    pub(super) index_files: bool,
    /// Whether fingerprints will be looked up.
    pub(super) filters: bool,
}

/// A loaded segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loaded {
    /// The offset at which its last record ends.
    pub(super) end: u64,
    /// Whether its index file was used.
    pub(super) indexed: bool,
}

/// Loads the contents of a segment into the index: from its index file as far as that goes, otherwise from the segment.
pub(super) fn load(
    fs: &Arc<dyn FileSystem>,
    dir: &Path,
    (name, segment_state): (SegmentName, SegmentState),
    file: &dyn DiskFile,
    loading: Loading,
    index: &mut Index,
) -> Result<Loaded, Failure> {
    let path = name.path(dir, segment_state);
    let length = file.len().map_err(Failure::to("read", &path))?;
    let mut missing = None;
    let mut from = 0;
    index.add_segment(name, segment_state);
    if loading.index_files {
        match IndexFile::open(fs, name.index_path(dir), (name, segment_state), length) {
            Ok(found) => {
                from = found.length();
                warn_of_damage(&found, &path);
                let found = if loading.filters { found.with_filters()? } else { found };
                index.add_file(name, found)?;
            }
            Err(IndexMismatch::Missing) => {}
            Err(IndexMismatch::Longer(by)) => missing = Some(by),
            Err(IndexMismatch::Other(error)) => {
                let path = name.index_path(dir);
                tracing::warn!(path = %path.display(), %error, "an index file does not fit its segment, which is read instead");
            }
        }
    }
    let indexed = from > 0;
    let end = if indexed && from == length {
        length
    } else {
        walk(file, &path, (name, segment_state), from, index)?
    };
    if let Some(missing) = missing {
        note_missing_end(&path, name, length, missing, index);
    } else if segment_state != SegmentState::Active {
        note_if_empty(&path, length, name, index);
    }
    Ok(Loaded { end, indexed })
}

fn warn_of_damage(file: &IndexFile, path: &Path) {
    for (offset, _) in file.damages() {
        tracing::warn!(path = %path.display(), offset, "skipped damaged bytes");
    }
}

fn note_missing_end(
    path: &Path,
    name: SegmentName,
    length: u64,
    missing: NonZeroU64,
    index: &mut Index,
) {
    index.note_cut(name, length);
    tracing::warn!(path = %path.display(), offset = length, missing, "the end of a segment is missing");
}

/// Returns the records of a segment; `None` if a part of it is damaged.
pub(super) fn records(
    file: &dyn DiskFile,
    name: SegmentName,
    segment_state: SegmentState,
) -> io::Result<Option<Vec<(Place, Meaning)>>> {
    let mut steps = RecordScanner::of(file, name, segment_state)?;
    let mut records = Vec::new();
    while let Some(step) = steps.read_next()? {
        let Scanned::Record { offset, length, meaning } = step else {
            return Ok(None);
        };
        records.push((Place { segment: name, offset, length }, meaning));
    }
    Ok(Some(records))
}

/// Adds the intact records of a segment, starting at this offset, to the index, and returns the offset at which they
/// end.
fn walk(
    file: &dyn DiskFile,
    path: &Path,
    (name, segment_state): (SegmentName, SegmentState),
    from: u64,
    index: &mut Index,
) -> Result<u64, Failure> {
    let unread = || Failure::to("read", path);
    let mut steps = RecordScanner::starting_at(file, name, segment_state, from).map_err(unread())?;
    let mut end = from;
    while let Some(step) = steps.read_next().map_err(unread())? {
        match step {
            Scanned::Record { offset, length, meaning } => {
                end = offset + length;
                take(index, meaning, Place { segment: name, offset, length })?;
            }
            Scanned::Damage { offset, length, .. } => {
                end = offset + length;
                index.note_damage(name, offset);
                tracing::warn!(path = %path.display(), offset, length, "skipped damaged bytes");
            }
            Scanned::Torn { offset } => {
                tracing::warn!(path = %path.display(), offset, "the end of a segment is torn");
            }
        }
    }
    Ok(end)
}

fn take(index: &mut Index, meaning: Meaning, place: Place) -> Result<(), Failure> {
    let of = match &meaning {
        Meaning::State { of, .. } => Some(*of),
        _ => None,
    };
    if !index.take(meaning, place)? {
        tracing::debug!(delivery = ?of, "skipped the state of a delivery that is forgotten, or lost");
    }
    Ok(())
}
