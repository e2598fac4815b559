use std::{collections::BTreeMap, ops::Range, time::SystemTime};

use super::{Body, IndexEntry, Position};
use crate::{
    archive::{
        Counts, Query,
        disk::{
            format::{index_file::IndexFile, name::SegmentName},
            fs::file_system::Failure,
        },
    },
    delivery::{ModelName, StateKind},
};

/// The entries of one segment: those in its index file, and in memory those that are newer or need attention.
#[derive(Debug, Default)]
pub(super) struct Segment {
    pub(super) file: Option<IndexFile>,
    /// Entries in memory, which take precedence over the file.
    pub(super) entries: BTreeMap<u32, Slot>,
    /// The number of entries in the file and in memory.
    pub(super) len: u32,
    /// Deliveries of other segments for which this one has records that are not in its index file.
    pub(super) foreign: BTreeMap<SegmentName, BTreeMap<u32, ForeignRecord>>,
    /// Bytes that are not a record: their offset, and the number of the next entry.
    pub(super) damages: Vec<(u64, u32)>,
    /// Whether the end of the segment is missing according to its index file, which is kept unchanged.
    pub(super) is_cut: bool,
    /// Whether it was sealed when it was loaded.
    pub(super) is_sealed: bool,
    /// The end of the last record in the index.
    pub(super) end: u64,
    pub(super) tally: Tally,
    /// Bounds for the times of receipt of deliveries with a body: the earliest and the latest.
    received: Option<(SystemTime, SystemTime)>,
    /// The number of entries in memory that differ from the file.
    pub(super) unsaved: usize,
}

/// Delivery counts.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Deliveries with a body, by model and state. The time of the oldest is not set.
    pub(super) counts: Counts,
    /// Deliveries without a body that are not forgotten.
    pub(super) removed: u64,
}

impl Tally {
    pub(super) fn add(&mut self, entry: &IndexEntry) {
        match entry.body {
            Body::Stored(_) => self.counts.add(&entry.model, entry.state.kind(), 1),
            Body::Removed(_) | Body::Erased => self.removed += 1,
            Body::Copy(_) | Body::Forgotten => {}
        }
    }

    pub(super) fn subtract(&mut self, entry: &IndexEntry) {
        match entry.body {
            Body::Stored(_) => self.counts.subtract(&entry.model, entry.state.kind(), 1),
            Body::Removed(_) | Body::Erased => self.removed = self.removed.saturating_sub(1),
            Body::Copy(_) | Body::Forgotten => {}
        }
    }

    pub(super) fn add_all(&mut self, other: &Self) {
        other.counts.iter().for_each(|(model, kind, count)| self.counts.add(model, kind, count));
        self.removed += other.removed;
    }

    pub(super) fn subtract_all(&mut self, other: &Self) {
        for (model, kind, count) in other.counts.iter() {
            self.counts.subtract(model, kind, count);
        }
        self.removed = self.removed.saturating_sub(other.removed);
    }
}

/// An entry in memory.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) entry: IndexEntry,
    pub(super) saved: Saved,
}

/// What a segment records about a delivery in another segment. With both kinds of records, the greater one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::archive::disk) enum ForeignRecord {
    /// Only its removal, which the ledger entry in the segment of the delivery repeats once its bytes are erased.
    Removal,
    State,
}

/// Whether the index file contains the current version of an entry in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Saved {
    No,
    /// Copied for an index file that is being written, and unchanged since.
    Copied,
    Yes,
}

impl Segment {
    /// Notes that this segment has a record about a delivery in another segment.
    pub(super) fn note_foreign(&mut self, position: Position, record: ForeignRecord) {
        let numbers = self.foreign.entry(position.segment).or_default();
        let noted = numbers.entry(position.number).or_insert(record);
        *noted = record.max(*noted);
    }

    /// Returns true if the segment has a record about this delivery of another segment that is not in its index file.
    pub(super) fn has_record_about(&self, position: Position) -> bool {
        let numbers = self.foreign.get(&position.segment);
        numbers.is_some_and(|numbers| numbers.contains_key(&position.number))
    }

    /// Creates a segment from an index file, without entries in memory.
    pub(super) fn of_file(file: IndexFile) -> Self {
        Self {
            len: file.len(),
            damages: file.damages().to_vec(),
            end: file.length(),
            tally: Tally { counts: file.counts(), removed: file.removed() },
            received: file.received(),
            file: Some(file),
            ..Self::default()
        }
    }

    /// Returns bounds for the times of receipt of its deliveries with a body; `None` if it has none.
    pub(super) fn received(&self) -> Option<(SystemTime, SystemTime)> {
        self.received.filter(|_| self.has_bodies())
    }

    pub(super) fn has_bodies(&self) -> bool {
        self.tally.counts.iter().next().is_some()
    }

    /// Counts an entry.
    pub(super) fn count(&mut self, entry: &IndexEntry) {
        self.tally.add(entry);
        if let Body::Stored(_) = entry.body {
            let at = entry.received_at;
            let (first, last) = self.received.unwrap_or((at, at));
            self.received = Some((first.min(at), last.max(at)));
        }
    }

    /// Returns true if the segment may contain a delivery with a body that `query` selects.
    pub(super) fn may_hold(&self, query: &Query) -> bool {
        let of_kind = |(model, kind): (&ModelName, StateKind)| {
            query.selected_model().is_none_or(|wanted| wanted == model)
                && query.selected_states().selects(kind)
        };
        let Some((first, last)) = self.received() else { return false };
        query.received_since().is_none_or(|since| since <= last)
            && query.received_before().is_none_or(|before| first < before)
            && self.tally.counts.iter().any(|(model, kind, _)| of_kind((model, kind)))
    }

    /// Returns the entry with this number.
    pub(super) fn get(&self, number: u32) -> Result<Option<IndexEntry>, Failure> {
        if let Some(slot) = self.entries.get(&number) {
            return Ok(Some(slot.entry.clone()));
        }
        match &self.file {
            Some(file) if number < file.len() => file.entry(number).map(Some),
            _ => Ok(None),
        }
    }

    /// Returns, in order, the entries with these numbers whose states `query` may select.
    pub(super) fn some(
        &self,
        range: Range<u32>,
        query: &Query,
    ) -> Result<Vec<(u32, IndexEntry)>, Failure> {
        let mut some = match &self.file {
            Some(file) if range.start < file.len() => {
                let in_file = range.start..range.end.min(file.len());
                let is_older = |number: &u32| !self.entries.contains_key(number);
                match file.listed(query, in_file.clone())? {
                    Some(listed) if listed.is_empty() => Vec::new(),
                    Some(listed) => file.entries(listed.into_iter().filter(is_older))?,
                    None => file.entries(in_file.filter(is_older))?,
                }
            }
            _ => Vec::new(),
        };
        let in_memory = self.entries.range(range);
        some.extend(in_memory.map(|(number, slot)| (*number, slot.entry.clone())));
        some.sort_unstable_by_key(|(number, _)| *number);
        Ok(some)
    }
}
