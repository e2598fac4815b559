//! Moves entries from memory to index files.
//!
//! An index file is built from a copy of the entries, which is made in parts, and then replaces the previous index
//! file. Entries that changed in the meantime stay in memory, as do entries that need attention.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use super::{
    Body, Index, IndexEntry, LogPosition, Position, Span,
    segment::{ForeignRecord, Saved, Segment},
};
use crate::{
    archive::disk::{
        format::{index_file::IndexFile, name::SegmentName},
        fs::file_system::Failure,
    },
    delivery::DeliveryId,
};

/// The number of entries that are copied or evicted before other users of the index get access.
pub(in crate::archive::disk) const AT_A_TIME: usize = 1024;

/// An index file is replaced once at least this many of its entries, and at least an eighth of all, have changed.
const MIN_CHANGED_ENTRIES: usize = 1024;

/// The index file of the newest segment is replaced once the segment has grown by this many bytes.
const MIN_GROWTH: u64 = 4 * 1024 * 1024;

/// The inputs of an index file besides the entries in memory.
#[derive(Debug)]
pub(in crate::archive::disk) struct IndexSource {
    /// The number of bytes of the segment that the entries cover.
    pub(in crate::archive::disk) length: u64,
    pub(in crate::archive::disk) flushed: LogPosition,
    pub(in crate::archive::disk) entries: u32,
    pub(in crate::archive::disk) file: Option<IndexFile>,
    pub(in crate::archive::disk) damages: Vec<(u64, u32)>,
    pub(in crate::archive::disk) foreign: Vec<(Position, ForeignRecord)>,
}

impl Index {
    /// Returns the sealed segments whose index file is missing or out of date, and the open segment if it has grown
    /// enough. `open` is the last segment, if it is being written.
    pub(in crate::archive::disk) fn to_flush(&self, open: Option<SegmentName>) -> Vec<SegmentName> {
        let is_due = |name: SegmentName, segment: &Segment| match &segment.file {
            _ if segment.is_cut => false,
            Some(file) if Some(name) != open && !file.is_sealed() => true,
            Some(file) => {
                segment.unsaved >= MIN_CHANGED_ENTRIES.max(index(segment.len) / 8)
                    || segment.end - file.length().min(segment.end) >= MIN_GROWTH
            }
            None => Some(name) != open || segment.end >= MIN_GROWTH,
        };
        let segments = self.segments.iter();
        segments.filter(|(name, it)| is_due(**name, it)).map(|(name, _)| *name).collect()
    }

    pub(in crate::archive::disk) fn segment_names(&self) -> Vec<SegmentName> {
        self.segments.keys().copied().collect()
    }

    pub(in crate::archive::disk) fn last_segment(&self) -> Option<SegmentName> {
        self.segments.last_key_value().map(|(name, _)| *name)
    }

    pub(in crate::archive::disk) fn has_segment(&self, name: SegmentName) -> bool {
        self.segments.contains_key(&name)
    }

    pub(in crate::archive::disk) fn file_of(&self, name: SegmentName) -> Option<&IndexFile> {
        self.segments.get(&name)?.file.as_ref()
    }

    pub(in crate::archive::disk) fn is_damaged(&self, name: SegmentName) -> bool {
        self.segments.get(&name).is_some_and(|segment| !segment.damages.is_empty())
    }

    /// Returns the current inputs for an index file of a segment.
    pub(in crate::archive::disk) fn source(&self, name: SegmentName) -> Option<IndexSource> {
        let segment = self.segments.get(&name)?;
        let (last, end) = self.segments.last_key_value()?;
        Some(IndexSource {
            length: segment.end,
            flushed: LogPosition { sequence: last.sequence, offset: end.end },
            entries: segment.len,
            file: segment.file.clone(),
            damages: segment.damages.clone(),
            foreign: segment.foreign.iter().flat_map(positions).collect(),
        })
    }

    /// Copies the entries in memory with these numbers for an index file.
    pub(in crate::archive::disk) fn copy(
        &mut self,
        name: SegmentName,
        numbers: std::ops::Range<u32>,
    ) -> HashMap<u32, IndexEntry> {
        let Some(segment) = self.segments.get_mut(&name) else { return HashMap::new() };
        let copied = segment.entries.range_mut(numbers).map(|(number, slot)| {
            if slot.saved == Saved::No {
                slot.saved = Saved::Copied;
            }
            (*number, slot.entry.clone())
        });
        copied.collect()
    }

    /// Replaces the index file of a segment.
    pub(in crate::archive::disk) fn install(&mut self, name: SegmentName, file: IndexFile) {
        let Some(segment) = self.segments.get_mut(&name) else { return };
        segment.file = Some(file);
    }

    /// Records that the index file of a segment includes its records about these deliveries of other segments.
    pub(in crate::archive::disk) fn flushed_foreign(
        &mut self,
        name: SegmentName,
        told: &BTreeMap<Position, ForeignRecord>,
    ) {
        if let Some(segment) = self.segments.get_mut(&name) {
            segment.foreign.retain(|home, numbers| {
                numbers.retain(|number, record| {
                    let position = Position { segment: *home, number: *number };
                    told.get(&position).is_none_or(|told| told < record)
                });
                !numbers.is_empty()
            });
        }
    }

    /// Evicts entries, starting at this number, that the index file of their segment contains and that need no
    /// attention. Returns the number to continue from.
    pub(in crate::archive::disk) fn evict(&mut self, name: SegmentName, from: u32) -> Option<u32> {
        let segment = self.segments.get_mut(&name)?;
        let mut some = segment.entries.range(from..).map(|(number, _)| *number);
        let numbers: Vec<_> = some.by_ref().take(AT_A_TIME).collect();
        let next = some.next();
        for number in numbers {
            if let Some(slot) = self.segment_mut(name).entries.get_mut(&number)
                && slot.saved == Saved::Copied
            {
                slot.saved = Saved::Yes;
                let segment = self.segment_mut(name);
                segment.unsaved = segment.unsaved.saturating_sub(1);
            }
            self.evict_one(Position { segment: name, number });
        }
        next
    }

    /// Evicts an entry from memory, if it can be read from the index file.
    pub(super) fn evict_one(&mut self, position: Position) {
        let segment = self.segment_mut(position.segment);
        let Some(slot) = segment.entries.get(&position.number) else { return };
        if slot.saved == Saved::Yes && !slot.entry.needs_attention() && segment.file.is_some() {
            let slot = segment.entries.remove(&position.number);
            if let Some(slot) = slot {
                self.forget_links(position, &slot.entry);
            }
        }
    }

    /// Handles a failed write of an index file: the entries copied for it exist only in memory.
    pub(in crate::archive::disk) fn flush_failed(&mut self, name: SegmentName) {
        for slot in self.segment_mut(name).entries.values_mut() {
            if slot.saved == Saved::Copied {
                slot.saved = Saved::No;
            }
        }
    }

    /// Loads entries into memory, so that a command about them does not wait for the disk.
    pub(in crate::archive::disk) fn pin(&mut self, entries: &[Position]) -> Result<(), Failure> {
        entries.iter().try_for_each(|position| self.load(*position))
    }

    /// Evicts entries that a command did not change.
    pub(in crate::archive::disk) fn unpin(&mut self, entries: &[Position]) {
        for position in entries {
            self.evict_one(*position);
        }
    }

    /// Updates the positions of records after their segment was rewritten.
    pub(in crate::archive::disk) fn moved(
        &mut self,
        name: SegmentName,
        length: u64,
        spans: &HashMap<DeliveryId, Span>,
        damages: Vec<(u64, u32)>,
    ) {
        let Some(segment) = self.segments.get_mut(&name) else { return };
        segment.end = length;
        segment.damages = damages;
        for slot in segment.entries.values_mut() {
            move_to(&mut slot.entry, spans);
        }
    }

    /// Keeps the index file of a segment open until another one replaces it.
    pub(in crate::archive::disk) fn pin_file(&mut self, name: SegmentName) -> Result<(), Failure> {
        let segment = self.segments.get_mut(&name);
        segment.and_then(|segment| segment.file.as_mut()).map_or(Ok(()), IndexFile::pin)
    }

    /// Updates the path of the index file of a segment after it was renamed.
    pub(in crate::archive::disk) fn file_renamed(&mut self, name: SegmentName, path: &Path) {
        let segment = self.segments.get_mut(&name);
        if let Some(file) = segment.and_then(|segment| segment.file.as_mut()) {
            file.renamed(path.to_owned());
        }
    }

    /// Returns the entry at this position, even if it does not represent a delivery.
    pub(in crate::archive::disk) fn raw(
        &self,
        position: Position,
    ) -> Result<Option<IndexEntry>, Failure> {
        let segment = self.segments.get(&position.segment);
        segment.map_or(Ok(None), |segment| segment.get(position.number))
    }
}

fn positions(
    (segment, numbers): (&SegmentName, &BTreeMap<u32, ForeignRecord>),
) -> impl Iterator<Item = (Position, ForeignRecord)> {
    let segment = *segment;
    numbers.iter().map(move |(number, record)| (Position { segment, number: *number }, *record))
}

/// Updates the position of an entry after its segment was rewritten.
pub(in crate::archive::disk) fn move_to(entry: &mut IndexEntry, spans: &HashMap<DeliveryId, Span>) {
    if let Some(new) = spans.get(&entry.id)
        && let Body::Stored(span) | Body::Removed(span) | Body::Copy(span) = &mut entry.body
    {
        *span = *new;
    }
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
