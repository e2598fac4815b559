//! Loads the contents of index files and records into the index.

use super::{
    Body, Index, IndexEntry, LogPosition, Position,
    segment::{ForeignRecord, Saved, Segment},
};
use crate::{
    archive::disk::{
        format::{
            entry::{Place, Tombstone},
            index_file::IndexFile,
            name::{SegmentName, SegmentState},
            warc::Meaning,
        },
        fs::file_system::Failure,
    },
    delivery::DeliveryId,
};

/// The subject of a record.
enum About {
    At(Position),
    Flushed,
    Unknown,
}

impl Index {
    /// Adds a segment that has an index file, and loads the entries that need attention.
    pub(in crate::archive::disk) fn add_file(
        &mut self,
        name: SegmentName,
        file: IndexFile,
    ) -> Result<(), Failure> {
        let attention = file.entries(file.attention()?)?;
        let mut segment = Segment::of_file(file);
        segment.is_sealed = self.segment_mut(name).is_sealed;
        self.tally.add_all(&segment.tally);
        self.segments.insert(name, segment);
        for (number, entry) in attention {
            self.remember(Position { segment: name, number }, entry, Saved::Yes);
        }
        self.take_foreign(name)
    }

    /// Applies the states that a segment records for deliveries in earlier segments.
    fn take_foreign(&mut self, name: SegmentName) -> Result<(), Failure> {
        let Some(file) = self.segments.get(&name).and_then(|segment| segment.file.as_ref()) else {
            return Ok(());
        };
        let end = file.length();
        for foreign in file.foreign()? {
            if self.is_flushed(foreign.position.segment, name, end) {
                continue;
            }
            let position = self.at(foreign.position)?.filter(|entry| entry.id == foreign.id);
            let position = match position {
                Some(entry) => Some(entry.position),
                None => self.locate(foreign.id)?,
            };
            let Some(position) = position else { continue };
            if foreign.removed {
                self.mark_removed_at(position)?;
            }
            self.note(position, &foreign.state)?;
            self.evict_one(position);
        }
        Ok(())
    }

    /// Returns true if the index file of a segment includes the records of another segment that end at this offset.
    ///
    /// Records of a sealed segment that the index file includes only in part are applied again, because the segment may
    /// have been rewritten, which changes their offsets. The last record of each delivery determines its state.
    fn is_flushed(&self, home: SegmentName, other: SegmentName, end: u64) -> bool {
        let file = self.segments.get(&home).and_then(|segment| segment.file.as_ref());
        let Some(LogPosition { sequence, offset }) = file.map(IndexFile::flushed) else {
            return false;
        };
        let is_sealed = self.segments.get(&other).is_some_and(|segment| segment.is_sealed);
        sequence > other.sequence || (sequence == other.sequence && !is_sealed && offset >= end)
    }

    /// Applies a record read from a segment. Returns `false` if the record is about a delivery that does not exist.
    pub(in crate::archive::disk) fn take(
        &mut self,
        meaning: Meaning,
        place: Place,
    ) -> Result<bool, Failure> {
        let mut found = true;
        match meaning {
            Meaning::Delivery { meta, leased } => self.insert(&meta, place, leased)?,
            Meaning::State { of, state } => {
                match self.position_at(of, ForeignRecord::State, place)? {
                    About::At(position) => self.note(position, &state)?,
                    About::Flushed => {}
                    About::Unknown => found = false,
                }
            }
            Meaning::Removal(ids) => {
                for id in ids {
                    let about = self.position_at(id, ForeignRecord::Removal, place)?;
                    if let About::At(position) = about {
                        self.mark_removed_at(position)?;
                    }
                }
            }
            Meaning::Removed(tombstones) => {
                for tombstone in &tombstones {
                    self.add_tombstone(tombstone, place)?;
                }
            }
            Meaning::Nothing => {}
        }
        self.note_end(place);
        Ok(found)
    }

    /// Finds the entry that a record at this place is about, unless the index file already includes the record.
    fn position_at(
        &mut self,
        id: DeliveryId,
        record: ForeignRecord,
        place: Place,
    ) -> Result<About, Failure> {
        let Some(position) = self.locate(id)? else { return Ok(About::Unknown) };
        let end = place.offset + place.length;
        if position.segment != place.segment {
            self.segment_mut(place.segment).note_foreign(position, record);
        }
        if self.is_flushed(position.segment, place.segment, end) {
            return Ok(About::Flushed);
        }
        Ok(About::At(position))
    }

    /// Adds a segment that may be empty.
    pub(in crate::archive::disk) fn add_segment(
        &mut self,
        name: SegmentName,
        segment_state: SegmentState,
    ) {
        self.segment_mut(name).is_sealed = segment_state != SegmentState::Active;
    }

    /// Adds the ledger entry of a removed delivery.
    fn add_tombstone(&mut self, tombstone: &Tombstone, place: Place) -> Result<(), Failure> {
        let Tombstone { meta, state, .. } = tombstone;
        let known = self.locate(meta.id)?;
        let body = if known.is_some() { Body::Forgotten } else { Body::Erased };
        self.push(place.segment, IndexEntry::new(meta, body, state.clone()));
        if let Some(position) = known {
            self.mark_removed_at(position)?;
            self.note(position, state)?;
        }
        Ok(())
    }

    /// Adds bytes that are not a record, after all entries added to the segment so far.
    pub(in crate::archive::disk) fn note_damage(&mut self, name: SegmentName, offset: u64) {
        let segment = self.segment_mut(name);
        segment.damages.push((offset, segment.len));
    }

    /// Records that the end of a segment is missing, after this offset.
    pub(in crate::archive::disk) fn note_cut(&mut self, name: SegmentName, offset: u64) {
        self.note_damage(name, offset);
        self.segment_mut(name).is_cut = true;
    }
}
