//! Moving entries from memory to index files.
//!
//! An index file is built from a copy of the entries, taken a part at a time, and then takes the place of the one before.
//! What changed in the meantime stays in memory, and so does what needs attention.

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
};

use super::{
    Body, Index, IndexEntry, LogPosition, Position, Span,
    segment::{Saved, Segment},
};
use crate::{
    archive::disk::{failure::Failure, index_file::IndexFile, name::SegmentName},
    delivery::DeliveryId,
};

/// How many entries are copied, or leave memory, before others get at the index.
pub(in crate::archive::disk) const AT_A_TIME: usize = 1024;

/// An index file is replaced once this many of its entries have changed, and at least an eighth of all.
const WORTH_FOLDING: usize = 1024;

/// The index file of the newest segment is replaced once the segment has grown by this many bytes.
const WORTH_A_FILE: u64 = 8 * 1024 * 1024;

/// What an index file is built from, besides the entries.
#[derive(Debug)]
pub(in crate::archive::disk) struct Basis {
    /// How many bytes of the segment the entries tell of.
    pub(in crate::archive::disk) length: u64,
    pub(in crate::archive::disk) folded: LogPosition,
    pub(in crate::archive::disk) entries: u32,
    pub(in crate::archive::disk) file: Option<IndexFile>,
    pub(in crate::archive::disk) damages: Vec<(u64, u32)>,
    pub(in crate::archive::disk) foreign: Vec<Position>,
}

impl Index {
    /// The sealed segments whose index file is missing or tells too little, and that which is being written if it has
    /// grown enough. `open` is the last segment, if it is being written.
    pub(in crate::archive::disk) fn to_fold(&self, open: Option<SegmentName>) -> Vec<SegmentName> {
        let is_due = |name: SegmentName, segment: &Segment| match &segment.file {
            _ if segment.is_cut => false,
            Some(file) if Some(name) != open && !file.is_sealed() => true,
            Some(file) => {
                segment.unsaved >= WORTH_FOLDING.max(index(segment.len) / 8)
                    || segment.end - file.length().min(segment.end) >= WORTH_A_FILE
            }
            None => Some(name) != open || segment.end >= WORTH_A_FILE,
        };
        let segments = self.segments.iter();
        segments.filter(|(name, it)| is_due(**name, it)).map(|(name, _)| *name).collect()
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

    /// What an index file of a segment is to be built from now.
    pub(in crate::archive::disk) fn basis(&self, name: SegmentName) -> Option<Basis> {
        let segment = self.segments.get(&name)?;
        let (last, end) = self.segments.last_key_value()?;
        Some(Basis {
            length: segment.end,
            folded: LogPosition { sequence: last.sequence, offset: end.end },
            entries: segment.len,
            file: segment.file.clone(),
            damages: segment.damages.clone(),
            foreign: segment.foreign.iter().flat_map(positions).collect(),
        })
    }

    /// The entries in memory from this number on, so many numbers, for an index file.
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

    /// An index file takes the place of the one before.
    pub(in crate::archive::disk) fn install(&mut self, name: SegmentName, file: IndexFile) {
        let Some(segment) = self.segments.get_mut(&name) else { return };
        segment.file = Some(file);
    }

    /// The index file of a segment tells of these entries of other segments, which are sorted.
    pub(in crate::archive::disk) fn folded_foreign(
        &mut self,
        name: SegmentName,
        told: &[Position],
    ) {
        if let Some(segment) = self.segments.get_mut(&name) {
            segment.foreign.retain(|home, numbers| {
                numbers.retain(|number| {
                    let position = Position { segment: *home, number: *number };
                    told.binary_search(&position).is_err()
                });
                !numbers.is_empty()
            });
        }
    }

    /// Takes entries out of memory that the index file of their segment tells of, and that need no attention: of those
    /// from this number on. Returns the number to go on from.
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

    /// Takes an entry out of memory, if it can be read from the index file.
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

    /// An index file could not be written: what was copied for it is in memory alone.
    pub(in crate::archive::disk) fn not_folded(&mut self, name: SegmentName) {
        for slot in self.segment_mut(name).entries.values_mut() {
            if slot.saved == Saved::Copied {
                slot.saved = Saved::No;
            }
        }
    }

    /// Has entries in memory, so that a command about them need not wait for the disk.
    pub(in crate::archive::disk) fn pin(&mut self, entries: &[Position]) -> Result<(), Failure> {
        entries.iter().try_for_each(|position| self.load(*position))
    }

    /// Takes entries out of memory that a command did not change.
    pub(in crate::archive::disk) fn unpin(&mut self, entries: &[Position]) {
        for position in entries {
            self.evict_one(*position);
        }
    }

    /// The segment was written anew: its records lie here now.
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

    /// Keeps the index file of a segment open until another takes its place.
    pub(in crate::archive::disk) fn pin_file(&mut self, name: SegmentName) -> Result<(), Failure> {
        let segment = self.segments.get_mut(&name);
        segment.and_then(|segment| segment.file.as_mut()).map_or(Ok(()), IndexFile::pin)
    }

    /// The index file of a segment has its name now.
    pub(in crate::archive::disk) fn file_renamed(&mut self, name: SegmentName, path: &Path) {
        let segment = self.segments.get_mut(&name);
        if let Some(file) = segment.and_then(|segment| segment.file.as_mut()) {
            file.renamed(path.to_owned());
        }
    }

    /// The entry at this position, also if it stands for no delivery.
    pub(in crate::archive::disk) fn raw(
        &self,
        position: Position,
    ) -> Result<Option<IndexEntry>, Failure> {
        let segment = self.segments.get(&position.segment);
        segment.map_or(Ok(None), |segment| segment.get(position.number))
    }
}

fn positions((segment, numbers): (&SegmentName, &BTreeSet<u32>)) -> impl Iterator<Item = Position> {
    numbers.iter().map(|number| Position { segment: *segment, number: *number })
}

/// The entry lies where its segment, which was written anew, has it now.
pub(in crate::archive::disk) fn move_to(entry: &mut IndexEntry, spans: &HashMap<DeliveryId, Span>) {
    if let Some(new) = spans.get(&entry.id)
        && let Body::Stored(span) | Body::GivenUp(span) | Body::Copy(span) = &mut entry.body
    {
        *span = *new;
    }
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
