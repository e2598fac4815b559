//! Writing index files: for a segment that was sealed or has grown, and as a replacement for one that is incomplete.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    thread,
};

use super::compactor::{CompactionState, Compactor};
use crate::{
    archive::disk::{
        format::{
            index_file::{Builder, Coverage, Foreign, IndexFile, IndexMismatch},
            name::{SegmentName, SegmentState},
        },
        fs::{
            file_system::Failure,
            replace::{self, Replacement},
        },
        index::{
            AT_A_TIME, Body, ForeignRecord, Index, IndexEntry, IndexSource, Position, Span, move_to,
        },
    },
    delivery::DeliveryId,
};

/// The deliveries of other segments whose records an index file includes.
type IncludedRecords = BTreeMap<Position, ForeignRecord>;

/// The locations of the records of a segment in the file that is about to replace it.
#[derive(Debug)]
pub(in crate::archive::disk) struct NewLayout {
    pub(in crate::archive::disk) segment_state: SegmentState,
    pub(in crate::archive::disk) length: u64,
    pub(in crate::archive::disk) spans: HashMap<DeliveryId, Span>,
    pub(in crate::archive::disk) damages: Vec<(u64, u32)>,
    /// The deliveries that are reduced to their ledger entries in the segment.
    pub(in crate::archive::disk) erased: HashSet<DeliveryId>,
}

impl NewLayout {
    /// Updates the entry for the replaced segment.
    fn apply(&self, entry: &mut IndexEntry) {
        if self.erased.contains(&entry.id) {
            entry.body = match entry.body {
                Body::Stored(_) | Body::Removed(_) => Body::Erased,
                Body::Copy(_) => Body::Forgotten,
                other => other,
            };
        }
        move_to(entry, &self.spans);
    }
}

impl Compactor {
    /// Writes the index files that are due.
    pub(in crate::archive::disk) fn write_indexes(
        &self,
        state: &mut CompactionState,
    ) -> Result<(), Failure> {
        // A ledger entry counts as written only once the segment is durable under its name.
        self.finish(state)?;
        let segments = self.segments()?;
        let last = segments.iter().next_back();
        let open = last
            .filter(|(_, segment_state)| **segment_state == SegmentState::Active)
            .map(|(name, _)| *name);
        for name in self.read(|index| index.to_flush(open)) {
            if let Some(segment_state) = segments.get(&name) {
                self.write_index(name, *segment_state, state)?;
            }
        }
        Ok(())
    }

    fn write_index(
        &self,
        name: SegmentName,
        segment_state: SegmentState,
        state: &mut CompactionState,
    ) -> Result<(), Failure> {
        let written = self.try_write_index(name, segment_state, state);
        if written.is_err() {
            self.change(|index| index.flush_failed(name));
        }
        written
    }

    fn try_write_index(
        &self,
        name: SegmentName,
        segment_state: SegmentState,
        state: &mut CompactionState,
    ) -> Result<(), Failure> {
        let Some(source) = self.read(|index| index.source(name)) else { return Ok(()) };
        let (bytes, foreign) = self.build_index(name, segment_state, &source, None)?;
        let path = name.index_path(&self.dir);
        replace::replace(&*self.fs, &self.dir, &path, &bytes)?;
        let segment = name.path(&self.dir, segment_state);
        let length = self.fs.open_read(&segment).and_then(|file| file.len());
        let length = length.map_err(Failure::to("read", &segment))?;
        let file = match IndexFile::open(&self.fs, path.clone(), (name, segment_state), length) {
            // The segment was truncated. The index file records its former length, and its entries stay in memory.
            Err(IndexMismatch::Longer(_)) => {
                self.change(|index| {
                    index.note_cut(name, length);
                    index.flush_failed(name);
                });
                self.note_damaged(name, segment_state, state);
                return Ok(());
            }
            file => {
                file.map_err(|mismatch| mismatch_to_failure(mismatch, &path))?.with_filters()?
            }
        };
        self.change(|index| index.install(name, file));
        self.finish_flush(name, &foreign);
        Ok(())
    }

    /// Evicts the entries that an index file covers from memory, in steps.
    pub(in crate::archive::disk) fn finish_flush(
        &self,
        name: SegmentName,
        foreign: &IncludedRecords,
    ) {
        self.change(|index| index.flushed_foreign(name, foreign));
        let mut from = Some(0);
        while let Some(number) = from {
            from = self.change(|index| index.evict(name, number));
        }
    }

    /// Returns the bytes of an index file for the current entries, and the entries of other segments that it covers.
    pub(in crate::archive::disk) fn build_index(
        &self,
        name: SegmentName,
        segment_state: SegmentState,
        source: &IndexSource,
        moved: Option<&NewLayout>,
    ) -> Result<(Vec<u8>, IncludedRecords), Failure> {
        let length = moved.map_or(source.length, |moved| moved.length);
        let coverage = Coverage { length, segment_state, flushed: source.flushed };
        let mut builder = Builder::new(name, coverage);
        let damages = moved.map_or(&source.damages, |moved| &moved.damages);
        for (offset, before) in damages {
            builder.damage(*offset, *before);
        }
        let step = u32::try_from(AT_A_TIME).unwrap_or(u32::MAX);
        let mut from = 0;
        while from < source.entries {
            let to = source.entries.min(from + step);
            for mut entry in self.entries_for_index(name, source, from..to)? {
                if let Some(moved) = moved {
                    moved.apply(&mut entry);
                }
                builder.entry(&entry);
            }
            from = to;
        }
        let foreign = self.foreign_for_index(source, &mut builder)?;
        Ok((builder.finish(), foreign))
    }

    fn entries_for_index(
        &self,
        name: SegmentName,
        source: &IndexSource,
        numbers: std::ops::Range<u32>,
    ) -> Result<Vec<IndexEntry>, Failure> {
        let mut entries = self.change(|index| index.copy(name, numbers.clone()));
        if let Some(file) = &source.file {
            let in_file = numbers.start..numbers.end.min(file.len()).max(numbers.start);
            let older = in_file.filter(|number| !entries.contains_key(number)).collect::<Vec<_>>();
            entries.extend(file.entries(older)?);
        }
        Ok(numbers.filter_map(|number| entries.remove(&number)).collect())
    }

    fn foreign_for_index(
        &self,
        source: &IndexSource,
        builder: &mut Builder,
    ) -> Result<IncludedRecords, Failure> {
        let mut foreign: BTreeMap<_, _> = source.foreign.iter().copied().collect();
        if let Some(file) = &source.file {
            for Foreign { position, record, .. } in file.foreign()? {
                let noted = foreign.entry(position).or_insert(record);
                *noted = record.max(*noted);
            }
        }
        let all: Vec<_> = foreign.iter().map(|(position, record)| (*position, *record)).collect();
        for some in all.chunks(AT_A_TIME / 4) {
            let entries: Vec<_> = self.read(|index| {
                some.iter().map(|(position, _)| index.raw(*position)).collect::<Result<_, _>>()
            })?;
            for ((position, record), entry) in some.iter().zip(&entries) {
                if let Some(entry) = entry.as_ref().filter(|entry| is_needed(*record, entry)) {
                    builder.foreign(*position, *record, entry);
                }
            }
        }
        Ok(foreign)
    }

    /// Writes the index file of a segment that is about to be replaced, under a temporary name, and opens it.
    pub(in crate::archive::disk) fn prepare_index(
        &self,
        name: SegmentName,
        moved: &NewLayout,
    ) -> Result<Prepared, Failure> {
        let source = self.read(|index| index.source(name));
        let source = source.ok_or_else(|| {
            mismatch_to_failure(IndexMismatch::Missing, &name.index_path(&self.dir))
        })?;
        let (bytes, foreign) = self.build_index(name, moved.segment_state, &source, Some(moved))?;
        let path = name.index_path(&self.dir);
        let mut file = Replacement::begin(&*self.fs, &path)?;
        file.write(&bytes)?;
        let unfinished = file.finish()?;
        let (segment, length) = ((name, moved.segment_state), moved.length);
        let file = IndexFile::open(&self.fs, unfinished.clone(), segment, length);
        let mut file =
            file.map_err(|mismatch| mismatch_to_failure(mismatch, &path))?.with_filters()?;
        file.pin()?;
        Ok(Prepared { unfinished, path, file, foreign })
    }

    /// Changes the index, and then yields to other users of it.
    pub(in crate::archive::disk) fn change<T>(&self, what: impl FnOnce(&mut Index) -> T) -> T {
        let changed = self.index.write(what);
        thread::yield_now();
        changed
    }
}

/// An index file that does not have its final name yet.
#[derive(Debug)]
pub(in crate::archive::disk) struct Prepared {
    pub(in crate::archive::disk) unfinished: std::path::PathBuf,
    pub(in crate::archive::disk) path: std::path::PathBuf,
    pub(in crate::archive::disk) file: IndexFile,
    pub(in crate::archive::disk) foreign: IncludedRecords,
}

/// Returns whether the index file of another segment has to repeat a record about this delivery. The removal of a
/// delivery whose bytes are erased is recorded by the ledger entry in its own segment.
fn is_needed(record: ForeignRecord, entry: &IndexEntry) -> bool {
    match record {
        ForeignRecord::State => true,
        ForeignRecord::Removal => !matches!(entry.body, Body::Erased),
    }
}

fn mismatch_to_failure(mismatch: IndexMismatch, path: &std::path::Path) -> Failure {
    let error = match mismatch {
        IndexMismatch::Missing => std::io::ErrorKind::NotFound.into(),
        IndexMismatch::Longer(_) => std::io::Error::other("the segment is shorter than it was"),
        IndexMismatch::Other(error) => error,
    };
    Failure::to("read", path)(error)
}
