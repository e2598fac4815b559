use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{Mutex, PoisonError, RwLock},
};

use super::{
    Body, Damage, DeliveryEntry, IndexEntry, Position, Span,
    segment::{ForeignRecord, Saved, Segment, Slot, Tally},
};
use crate::{
    archive::{
        disk::{
            format::{
                entry::{DeliveryMeta, Place, ShortFingerprint, first_state, short},
                index_file::IndexFile,
                name::SegmentName,
            },
            fs::file_system::Failure,
        },
        unsettled::Unsettled,
    },
    delivery::{DeliveryId, Fingerprint, InferenceId, State},
};

/// The position and state of each delivery, in the order of the log, including removed deliveries; and the queues,
/// leases and counts derived from the states.
///
/// The entries of unsettled deliveries, and entries that are not in an index file yet, are held in memory. An entry in
/// memory takes precedence over the index file.
#[derive(Debug, Default)]
pub(in crate::archive::disk) struct Index {
    pub(super) segments: BTreeMap<SegmentName, Segment>,
    /// The positions of the entries in memory that represent deliveries. Ordered maps, which never pause to grow all at
    /// once.
    pub(super) by_id: BTreeMap<DeliveryId, Position>,
    /// The latest entry in memory of each fingerprint.
    pub(super) firsts: BTreeMap<ShortFingerprint, Position>,
    /// The entries in memory of deliveries that were processed as an inference.
    pub(super) by_inference: BTreeMap<InferenceId, BTreeSet<Position>>,
    /// Additional positions of deliveries whose batch was written twice.
    pub(super) copies: HashMap<DeliveryId, Vec<Position>>,
    /// Removed deliveries that still have bytes to erase.
    pub(super) to_erase: BTreeSet<DeliveryId>,
    /// Deliveries whose records were found damaged by a read.
    unreadable: HashSet<DeliveryId>,
    /// The sum over all segments.
    pub(super) tally: Tally,
    /// Empty if the archive is open read-only.
    pub(super) unsettled: Unsettled,
}

impl Index {
    /// Updates the segment after a record about these deliveries was written.
    pub(in crate::archive::disk) fn wrote(
        &mut self,
        record: ForeignRecord,
        about: &[DeliveryId],
        place: Place,
    ) {
        for id in about {
            if let Some(position) = self.by_id.get(id).copied()
                && position.segment != place.segment
            {
                self.segment_mut(place.segment).note_foreign(position, record);
            }
        }
        self.note_end(place);
    }

    pub(in crate::archive::disk) fn note_end(&mut self, place: Place) {
        let segment = self.segment_mut(place.segment);
        segment.end = segment.end.max(place.offset + place.length);
    }

    pub(super) fn segment_mut(&mut self, name: SegmentName) -> &mut Segment {
        self.segments.entry(name).or_default()
    }

    /// Adds a delivery. If it already exists because its batch was written twice, its record is from now on the new
    /// one, whose sync succeeded. A removed delivery stays removed.
    pub(in crate::archive::disk) fn insert(
        &mut self,
        meta: &DeliveryMeta,
        place: Place,
        leased: bool,
    ) -> Result<(), Failure> {
        let (id, span) = (meta.id, Span::of(place));
        let Some(known) = self.locate(id)? else {
            let entry = IndexEntry::new(meta, Body::Stored(span), first_state(leased));
            self.push(place.segment, entry);
            return Ok(());
        };
        let Some(entry) = self.at(known)? else { return Ok(()) };
        let is_stored = entry.place.is_some();
        if known.segment == place.segment {
            if is_stored {
                self.modify(known, |entry| entry.body = Body::Stored(span))?;
            }
            return Ok(());
        }
        if !is_stored {
            let copy = IndexEntry::new(meta, Body::Copy(span), entry.state);
            self.push(place.segment, copy);
            self.to_erase.insert(id);
            return Ok(());
        }
        self.modify(known, |entry| {
            if let Body::Stored(span) = entry.body {
                entry.body = Body::Copy(span);
            }
        })?;
        self.push(place.segment, IndexEntry::new(meta, Body::Stored(span), entry.state));
        Ok(())
    }

    /// Adds an entry at the end of its segment.
    pub(super) fn push(&mut self, name: SegmentName, entry: IndexEntry) {
        let segment = self.segment_mut(name);
        let number = segment.len;
        segment.len += 1;
        segment.unsaved += 1;
        segment.count(&entry);
        self.tally.add(&entry);
        self.remember(Position { segment: name, number }, entry, Saved::No);
    }

    /// Stores an entry in memory.
    pub(super) fn remember(&mut self, position: Position, entry: IndexEntry, saved: Saved) {
        if entry.is_delivery() {
            self.by_id.insert(entry.id, position);
            let first = self.firsts.entry(entry.fingerprint).or_insert(position);
            *first = position.max(*first);
        }
        self.link(position, &entry);
        let segment = self.segment_mut(position.segment);
        segment.entries.insert(position.number, Slot { entry, saved });
    }

    /// Updates the maps derived from the body and the state of an entry in memory.
    fn link(&mut self, position: Position, entry: &IndexEntry) {
        if let Some(inference) = entry.processed_as() {
            self.by_inference.entry(inference.id()).or_default().insert(position);
        }
        match entry.body {
            Body::Removed(_) => drop(self.to_erase.insert(entry.id)),
            Body::Copy(_) => self.copies.entry(entry.id).or_default().push(position),
            Body::Stored(_) | Body::Erased | Body::Forgotten => {}
        }
    }

    /// Undoes [`link`](Self::link).
    fn unlink(&mut self, position: Position, entry: &IndexEntry) {
        if let Some(inference) = entry.processed_as()
            && let Some(positions) = self.by_inference.get_mut(&inference.id())
        {
            positions.remove(&position);
            if positions.is_empty() {
                self.by_inference.remove(&inference.id());
            }
        }
        if let (Body::Copy(_), Some(copies)) = (entry.body, self.copies.get_mut(&entry.id)) {
            copies.retain(|copy| *copy != position);
            if copies.is_empty() {
                self.copies.remove(&entry.id);
            }
        }
    }

    /// Changes an entry, loading it into memory if necessary.
    pub(super) fn modify(
        &mut self,
        position: Position,
        change: impl FnOnce(&mut IndexEntry),
    ) -> Result<(), Failure> {
        let Some(before) = self.slot(position)? else { return Ok(()) };
        let Slot { entry: before, saved } = before;
        let mut entry = before.clone();
        change(&mut entry);
        if entry == before {
            return Ok(());
        }
        self.unlink(position, &before);
        self.tally.subtract(&before);
        self.tally.add(&entry);
        let segment = self.segment_mut(position.segment);
        segment.tally.subtract(&before);
        segment.count(&entry);
        segment.unsaved += usize::from(saved == Saved::Yes);
        if before.is_delivery() && !entry.is_delivery() {
            self.forget_keys(position, &before);
        }
        if !matches!(entry.body, Body::Stored(_)) {
            self.unreadable.remove(&before.id);
        }
        self.remember(position, entry, Saved::No);
        Ok(())
    }

    /// Returns an entry from memory, or else from the index file.
    pub(super) fn slot(&self, position: Position) -> Result<Option<Slot>, Failure> {
        let Some(segment) = self.segments.get(&position.segment) else { return Ok(None) };
        if let Some(slot) = segment.entries.get(&position.number) {
            return Ok(Some(slot.clone()));
        }
        let entry = segment.get(position.number)?;
        Ok(entry.map(|entry| Slot { entry, saved: Saved::Yes }))
    }

    /// Loads an entry into memory.
    pub(super) fn load(&mut self, position: Position) -> Result<(), Failure> {
        let segment = self.segments.get(&position.segment);
        let is_there = segment.is_none_or(|it| it.entries.contains_key(&position.number));
        if !is_there && let Some(Slot { entry, saved }) = self.slot(position)? {
            self.remember(position, entry, saved);
        }
        Ok(())
    }

    pub(super) fn forget_keys(&mut self, position: Position, entry: &IndexEntry) {
        if self.by_id.get(&entry.id) == Some(&position) {
            self.by_id.remove(&entry.id);
        }
        if self.firsts.get(&entry.fingerprint) == Some(&position) {
            self.firsts.remove(&entry.fingerprint);
        }
    }

    pub(super) fn forget_links(&mut self, position: Position, entry: &IndexEntry) {
        self.forget_keys(position, entry);
        self.unlink(position, entry);
    }

    pub(super) fn note(&mut self, position: Position, state: &State) -> Result<(), Failure> {
        self.modify(position, |entry| entry.state = state.clone())
    }

    /// Returns the deliveries processed as an inference with this id and their states, latest first.
    pub(in crate::archive::disk) fn processed_as(
        &self,
        inference: InferenceId,
    ) -> Result<Vec<(DeliveryId, State)>, Failure> {
        let mut positions = self.by_inference.get(&inference).cloned().unwrap_or_default();
        for (name, segment, file) in self.files() {
            if file.may_hold_inference(inference.as_bytes()) {
                let numbers = file.of_inference(inference.as_bytes())?.into_iter();
                let older = numbers.filter(|number| !segment.entries.contains_key(number));
                positions.extend(older.map(|number| Position { segment: name, number }));
            }
        }
        let mut found = Vec::new();
        for position in positions.into_iter().rev() {
            found.extend(self.at(position)?.map(|entry| (entry.id, entry.state)));
        }
        Ok(found)
    }

    pub(super) fn files(&self) -> impl Iterator<Item = (SegmentName, &Segment, &IndexFile)> {
        let files = self.segments.iter().rev();
        files.filter_map(|(name, segment)| Some((*name, segment, segment.file.as_ref()?)))
    }

    /// Sets the state of a delivery. Returns false if the delivery does not exist.
    pub(in crate::archive::disk) fn set_state(
        &mut self,
        id: DeliveryId,
        state: &State,
    ) -> Result<bool, Failure> {
        let position = self.locate(id)?;
        position.map_or(Ok(false), |position| self.note(position, state).map(|()| true))
    }

    /// Marks a delivery as damaged, if its record is still at this place.
    pub(in crate::archive::disk) fn note_unreadable(&mut self, id: DeliveryId, place: Place) {
        if self.get(id).is_ok_and(|entry| entry.is_some_and(|entry| entry.place == Some(place))) {
            self.unreadable.insert(id);
        }
    }

    /// Returns the delivery that a repeat with this fingerprint is compared with: the latest one.
    pub(in crate::archive::disk) fn first(
        &self,
        fingerprint: Fingerprint,
    ) -> Result<Option<DeliveryEntry>, Failure> {
        let fingerprint = short(fingerprint);
        let mut first = self.firsts.get(&fingerprint).copied();
        for (name, segment, file) in self.files() {
            if first.is_some_and(|first| first.segment > name) {
                break;
            }
            if file.may_hold_fingerprint(&fingerprint) {
                let numbers = file.of_fingerprint(&fingerprint)?.into_iter();
                // Entries in memory that represent deliveries are in `firsts`.
                let older = numbers.filter(|number| !segment.entries.contains_key(number));
                let latest = older.max().map(|number| Position { segment: name, number });
                first = first.max(latest);
            }
        }
        first.map_or(Ok(None), |position| self.at(position))
    }

    pub(in crate::archive::disk) fn get(
        &self,
        id: DeliveryId,
    ) -> Result<Option<DeliveryEntry>, Failure> {
        self.locate(id)?.map_or(Ok(None), |position| self.at(position))
    }

    /// Returns the position of a delivery.
    pub(in crate::archive::disk) fn locate(
        &self,
        id: DeliveryId,
    ) -> Result<Option<Position>, Failure> {
        if let Some(position) = self.by_id.get(&id) {
            return Ok(Some(*position));
        }
        for (name, segment, file) in self.files() {
            if file.may_hold_id(id) {
                let mut numbers = file.of_id(id)?.into_iter();
                // An entry in memory with this number no longer represents a delivery.
                if let Some(number) = numbers.find(|number| !segment.entries.contains_key(number)) {
                    return Ok(Some(Position { segment: name, number }));
                }
            }
        }
        Ok(None)
    }

    /// Returns the delivery at this position, unless it was forgotten.
    pub(in crate::archive::disk) fn at(
        &self,
        position: Position,
    ) -> Result<Option<DeliveryEntry>, Failure> {
        let segment = self.segments.get(&position.segment);
        let entry = segment.map_or(Ok(None), |segment| segment.get(position.number))?;
        Ok(entry.and_then(|entry| self.entry(position, entry)))
    }

    pub(super) fn entry(&self, position: Position, entry: IndexEntry) -> Option<DeliveryEntry> {
        let place = entry.place(position.segment);
        entry.is_delivery().then(|| DeliveryEntry {
            position,
            id: entry.id,
            place,
            unreadable: self.unreadable.contains(&entry.id),
            model: entry.model,
            received_at: entry.received_at,
            state: entry.state,
        })
    }

    /// Returns all damage.
    pub(in crate::archive::disk) fn damages(&self) -> impl Iterator<Item = Damage> {
        let damages = |(segment, it): (&SegmentName, &Segment)| {
            let segment = *segment;
            let offsets: Vec<_> = it.damages.iter().map(|(offset, _)| *offset).collect();
            offsets.into_iter().map(move |offset| Damage { segment, offset })
        };
        self.segments.iter().flat_map(damages)
    }
}

/// The index, shared by many readers and one writer.
///
/// A reader with many queries takes the lock again immediately after releasing it, which would starve the writer,
/// because it is woken too late each time. Therefore all threads wait at a gate, which the writer holds until it has
/// the lock.
#[derive(Debug, Default)]
pub(in crate::archive::disk) struct SharedIndex {
    index: RwLock<Index>,
    gate: Mutex<()>,
}

impl SharedIndex {
    pub(in crate::archive::disk) fn new(index: Index) -> Self {
        Self { index: RwLock::new(index), gate: Mutex::default() }
    }

    /// Queries the index, holding the lock only for the query.
    pub(in crate::archive::disk) fn read<T>(&self, question: impl FnOnce(&Index) -> T) -> T {
        let gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        drop(gate);
        question(&index)
    }

    /// Changes the index.
    pub(in crate::archive::disk) fn write<T>(&self, change: impl FnOnce(&mut Index) -> T) -> T {
        let gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        drop(gate);
        change(&mut index)
    }
}
