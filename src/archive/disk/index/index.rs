use std::{
    collections::{HashMap, HashSet},
    ops::Range,
    time::SystemTime,
};

use super::{
    Damage, EntryRef,
    chunks::Chunks,
    names::Names,
    packed_state::PackedState,
    reasons::Reasons,
    received::Received,
    record::{Record, ShortFingerprint, Spot, short},
    table::Table,
};
use crate::{
    archive::{
        ArchiveError, Counts,
        disk::{
            entry::{DeliveryMeta, Place, Tombstone, first_state},
            name::SegmentName,
            warc::Meaning,
        },
        unsettled::Unsettled,
    },
    delivery::{DeliveryId, Fingerprint, InferenceDigest, InferenceId, ModelName, State},
};

/// The position and the state of each delivery, in the order of the log, also of those that were removed; and the queues,
/// leases and counts that follow from the states.
///
/// Takes some 90 bytes of memory a delivery, and some ten more for one that was processed as an inference; reasons come
/// on top, each once.
#[derive(Debug, Default)]
pub(in crate::archive::disk) struct Index {
    records: Chunks<Record>,
    by_id: Table,
    /// The first of each fingerprint.
    firsts: Table,
    /// Those that were processed as an inference, by its id.
    by_inference: Table,
    reasons: Reasons,
    models: Names<ModelName>,
    segments: Names<SegmentName>,
    /// Offset and length where they do not fit into a record, by position.
    far: HashMap<u32, (u64, u64)>,
    /// Times of receipt that do not fit into a record, by position.
    other_times: HashMap<u32, SystemTime>,
    /// Inferences of failed and dead deliveries, by position.
    inferences: HashMap<u32, InferenceDigest>,
    damages: Vec<Damage>,
    /// How many of the records are of deliveries that are not remembered any more.
    forgotten: usize,
    /// Where else a delivery lies whose batch was written twice, and where one still lies that was removed.
    pub(super) copies: HashMap<DeliveryId, Vec<Place>>,
    /// Deliveries whose records a read has found damaged.
    unreadable: HashSet<DeliveryId>,
    /// Deliveries with a body, by model and state. The time of the oldest is not set.
    pub(super) counts: Counts,
    /// Empty where the archive is open read-only.
    pub(super) unsettled: Unsettled,
    most: Most,
    /// Whether a delivery was left out because there was no position left.
    overflowed: bool,
}

/// How many positions there are. They are `u32` to keep the index small.
#[derive(Debug)]
struct Most(u32);

impl Default for Most {
    fn default() -> Self {
        Self(u32::MAX)
    }
}

/// The error of a delivery for which there is no position left.
pub(in crate::archive::disk) fn index_full() -> ArchiveError {
    ArchiveError::Other(Box::new(IndexFull))
}

#[derive(Debug, thiserror::Error)]
#[error(
    "the index of the archive is full: it can number 4294967295 deliveries from one opening to the next; remove old \
     deliveries, and open the archive again"
)]
struct IndexFull;

impl Index {
    /// Takes in what a record means; `false` if it is about a delivery that is not there.
    pub(in crate::archive::disk) fn take(&mut self, meaning: Meaning, place: Place) -> bool {
        match meaning {
            Meaning::Delivery { meta, leased } => self.insert(&meta, place, leased),
            Meaning::State { of, state } => return self.set_state(of, &state),
            Meaning::Removal(ids) => ids.into_iter().for_each(|id| self.give_up(id)),
            Meaning::Removed(tombstone) => self.bury(tombstone),
            Meaning::Nothing => {}
        }
        true
    }

    /// Makes room for so many more deliveries at once, rather than again and again.
    pub(in crate::archive::disk) fn reserve(&mut self, deliveries: usize) {
        let Self { records, by_id, firsts, .. } = self;
        by_id.reserve(deliveries, |at| id_at(records, at));
        firsts.reserve(deliveries, |at| fingerprint_at(records, at));
    }

    /// Adds a delivery. One that is there already, because its batch was written twice, lies at the new place from now
    /// on: of the two that is the one whose sync succeeded. One that was removed stays so.
    pub(in crate::archive::disk) fn insert(
        &mut self,
        meta: &DeliveryMeta,
        place: Place,
        leased: bool,
    ) {
        let id = meta.id;
        let Some(position) = self.position(id) else {
            if let Some(position) = self.add(meta, Some(place), &first_state(leased)) {
                self.set_first(short(meta.fingerprint), position);
            }
            return;
        };
        let known = self.place_at(position);
        match known {
            Some(known) if known.segment == place.segment => {
                return self.put(position, Some(place));
            }
            Some(_) => self.put(position, Some(place)),
            None => {}
        }
        let other = known.unwrap_or(place);
        self.copies.entry(id).or_default().push(other);
    }

    /// Takes in what stayed of a delivery that was removed.
    fn bury(&mut self, tombstone: Tombstone) {
        let Tombstone { meta, state, .. } = tombstone;
        if self.position(meta.id).is_some() {
            self.give_up(meta.id);
            self.set_state(meta.id, &state);
            return;
        }
        if let Some(position) = self.add(&meta, None, &state)
            && self.first_at(short(meta.fingerprint)).is_none()
        {
            self.set_first(short(meta.fingerprint), position);
        }
    }

    /// Returns the position of the delivery; None if there is no position left.
    fn add(&mut self, meta: &DeliveryMeta, place: Option<Place>, state: &State) -> Option<u32> {
        if !self.has_room_for(1) {
            self.overflowed = true;
            return None;
        }
        let position = number(self.records.positions().end);
        let received = Received::beside(meta.id, meta.received_at).unwrap_or_else(|| {
            self.other_times.insert(position, meta.received_at);
            Received::ELSEWHERE
        });
        let spot = place.map(|place| self.spot(position, place));
        let model = self.models.number(&meta.model);
        self.records.push(Record::new(meta, received, spot, model));
        let records = &self.records;
        self.by_id.add(&meta.id, position, |at| id_at(records, at));
        if place.is_some() {
            self.counts.add(&meta.model, PackedState::NEW.kind(), 1);
        }
        if *state != State::NEW {
            self.note(position, state);
        }
        Some(position)
    }

    #[cfg(test)]
    pub(in crate::archive::disk) fn limited_to(mut self, most: u32) -> Self {
        self.most = Most(most);
        self
    }

    /// Whether this many more deliveries have positions. A position is used once until the archive is opened again, also
    /// that of a delivery that was forgotten.
    pub(in crate::archive::disk) fn has_room_for(&self, more: usize) -> bool {
        let end = self.records.positions().end.checked_add(more);
        end.is_some_and(|end| end <= index(self.most.0))
    }

    /// An error if deliveries were left out because there was no position left.
    pub(in crate::archive::disk) fn check_complete(&self) -> Result<(), ArchiveError> {
        if self.overflowed { Err(index_full()) } else { Ok(()) }
    }

    /// From now on the delivery at this position is the first of its fingerprint.
    fn set_first(&mut self, fingerprint: ShortFingerprint, position: u32) {
        let Self { records, firsts, .. } = self;
        let of = |at| fingerprint_at(records, at);
        if let Some(fallen) = firsts.get(&fingerprint, of) {
            firsts.forget(&fingerprint, fallen);
        }
        firsts.add(&fingerprint, position, of);
    }

    fn note(&mut self, position: u32, state: &State) {
        let Some(record) = self.records.get_mut(index(position)) else { return };
        let now = PackedState::of(state, &mut self.reasons);
        let before = std::mem::replace(&mut record.state, now);
        if record.spot.is_some()
            && let Some(model) = self.models.name(record.model)
        {
            self.counts.subtract(model, before.kind(), 1);
            self.counts.add(model, now.kind(), 1);
        }
        self.drop_packed(position, before);
        let records = &self.records;
        match now.processed_as() {
            Some(inference) => {
                let of = |at| inference_at(records, at);
                self.by_inference.add(&inference.id(), position, of);
            }
            None => {
                if let Some(inference) = state.inference() {
                    self.inferences.insert(position, inference);
                }
            }
        }
    }

    /// Drops what was stored elsewhere for a state that has changed.
    fn drop_packed(&mut self, position: u32, before: PackedState) {
        if let Some(reason) = before.reason() {
            self.reasons.give_back(reason);
            self.inferences.remove(&position);
        }
        if let Some(inference) = before.processed_as() {
            self.by_inference.forget(&inference.id(), position);
        }
    }

    /// The deliveries that were processed as an inference of this id, the latest first, and their states.
    pub(in crate::archive::disk) fn processed_as(
        &self,
        inference: InferenceId,
    ) -> Vec<(DeliveryId, State)> {
        let of_id = self.by_inference.all(&inference, |at| inference_at(&self.records, at));
        let mut positions: Vec<_> = of_id.collect();
        positions.sort_unstable_by(|a, b| b.cmp(a));
        let entries = positions.into_iter().filter_map(|position| self.at(index(position)));
        entries.map(|entry| (entry.id, entry.state())).collect()
    }

    /// Sets the state of a delivery; false if there is no such delivery.
    pub(in crate::archive::disk) fn set_state(&mut self, id: DeliveryId, state: &State) -> bool {
        let position = self.position(id);
        position.map(|position| self.note(position, state)).is_some()
    }

    /// The delivery is removed from now on. Its bytes are still to be erased.
    pub(in crate::archive::disk) fn give_up(&mut self, id: DeliveryId) {
        if let Some(position) = self.position(id)
            && let Some(place) = self.place_at(position)
        {
            self.put(position, None);
            self.copies.entry(id).or_default().push(place);
        }
        if self.unsettled.token(id).is_none() {
            self.unsettled.remove(id);
        }
    }

    /// Its record was found damaged, if it still lies there.
    pub(in crate::archive::disk) fn note_unreadable(&mut self, id: DeliveryId, place: Place) {
        if self.get(id).is_some_and(|entry| entry.place == Some(place)) {
            self.unreadable.insert(id);
        }
    }

    /// The positions of deliveries that lie in a segment, for [`moved`](Self::moved). Positions never change.
    pub(in crate::archive::disk) fn positions_of(
        &self,
        deliveries: &[(DeliveryId, Place)],
    ) -> Vec<(usize, Place)> {
        let position = |(id, place): &(DeliveryId, Place)| Some((self.position_of(*id)?, *place));
        deliveries.iter().filter_map(position).collect()
    }

    /// The segment was written anew: what lies in it at these positions lies here now. Looks nothing up, so that a segment of
    /// many deliveries takes its place within a few milliseconds.
    pub(in crate::archive::disk) fn moved(
        &mut self,
        segment: SegmentName,
        deliveries: &[(usize, Place)],
    ) {
        let number_of_segment = self.segments.number(&segment);
        for (position, place) in deliveries {
            let spot = self.records.get(*position).and_then(|record| record.spot);
            let Some(spot) = spot.filter(|spot| spot.segment == number_of_segment) else {
                continue;
            };
            match Spot::near(*place, number_of_segment) {
                Some(near) if spot.offset != Spot::FAR => {
                    if let Some(record) = self.records.get_mut(*position) {
                        record.spot = Some(near);
                    }
                }
                _ => self.put(number(*position), Some(*place)),
            }
        }
    }

    /// The same for copies of these deliveries.
    pub(in crate::archive::disk) fn copies_moved(&mut self, deliveries: &[(DeliveryId, Place)]) {
        for (id, place) in deliveries {
            let copies = self.copies.get_mut(id).into_iter().flatten();
            copies.filter(|copy| copy.segment == place.segment).for_each(|copy| *copy = *place);
        }
    }

    /// Nothing of the delivery is left in this segment but its ledger entry.
    pub(in crate::archive::disk) fn dropped(&mut self, id: DeliveryId, segment: SegmentName) {
        if let Some(position) = self.position(id)
            && self.place_at(position).is_some_and(|place| place.segment == segment)
        {
            self.put(position, None);
        }
        if let Some(copies) = self.copies.get_mut(&id) {
            copies.retain(|copy| copy.segment != segment);
            if copies.is_empty() {
                self.copies.remove(&id);
            }
        }
    }

    /// The delivery with which a repeat of these bytes is compared: the latest one with this fingerprint.
    pub(in crate::archive::disk) fn first(&self, fingerprint: Fingerprint) -> Option<EntryRef<'_>> {
        self.at(index(self.first_at(short(fingerprint))?))
    }

    fn first_at(&self, fingerprint: ShortFingerprint) -> Option<u32> {
        self.firsts.get(&fingerprint, |at| fingerprint_at(&self.records, at))
    }

    pub(in crate::archive::disk) fn get(&self, id: DeliveryId) -> Option<EntryRef<'_>> {
        self.at(index(self.position(id)?))
    }

    /// The delivery at this position of the log, if it is remembered.
    pub(in crate::archive::disk) fn at(&self, position: usize) -> Option<EntryRef<'_>> {
        let record = self.records.get(position).filter(|record| record.is_remembered())?;
        Some(EntryRef {
            id: record.id,
            model: self.models.name(record.model)?,
            received_at: self.received_at(number(position), record)?,
            place: self.place(number(position), record),
            unreadable: self.unreadable.contains(&record.id),
            packed: record.state,
            inference: self.inferences.get(&number(position)).copied(),
            reasons: &self.reasons,
        })
    }

    pub(super) fn some(&self, positions: Range<usize>) -> impl Iterator<Item = EntryRef<'_>> {
        positions.filter_map(|position| self.at(position))
    }

    /// The positions of the log at which deliveries may be remembered.
    pub(in crate::archive::disk) fn positions(&self) -> Range<usize> {
        self.records.positions()
    }

    /// The position of a delivery in the log.
    pub(super) fn position_of(&self, id: DeliveryId) -> Option<usize> {
        self.position(id).map(index)
    }

    fn position(&self, id: DeliveryId) -> Option<u32> {
        self.by_id.get(&id, |at| id_at(&self.records, at))
    }

    fn place_at(&self, position: u32) -> Option<Place> {
        self.place(position, self.records.get(index(position))?)
    }

    fn received_at(&self, position: u32, record: &Record) -> Option<SystemTime> {
        record.received.at(record.id).or_else(|| self.other_times.get(&position).copied())
    }

    fn place(&self, position: u32, record: &Record) -> Option<Place> {
        let Spot { offset, length, segment } = record.spot?;
        let segment = *self.segments.name(segment)?;
        let (offset, length) = match offset {
            Spot::FAR => *self.far.get(&position)?,
            near => (near.into(), length.into()),
        };
        Some(Place { segment, offset, length })
    }

    fn spot(&mut self, position: u32, place: Place) -> Spot {
        let segment = self.segments.number(&place.segment);
        Spot::near(place, segment).unwrap_or_else(|| {
            self.far.insert(position, (place.offset, place.length));
            Spot { offset: Spot::FAR, length: 0, segment }
        })
    }

    fn put(&mut self, position: u32, place: Option<Place>) {
        self.far.remove(&position);
        let spot = place.map(|place| self.spot(position, place));
        let Some(record) = self.records.get_mut(index(position)) else { return };
        let before = std::mem::replace(&mut record.spot, spot);
        if let Some(model) = self.models.name(record.model) {
            match (before.is_some(), spot.is_some()) {
                (true, false) => self.counts.subtract(model, record.state.kind(), 1),
                (false, true) => self.counts.add(model, record.state.kind(), 1),
                _ => {}
            }
        }
        if spot.is_none() {
            self.unreadable.remove(&record.id);
        }
    }

    /// How many deliveries are remembered.
    pub(in crate::archive::disk) fn len(&self) -> usize {
        self.positions().len() - self.forgotten
    }

    /// Forgets those of these deliveries of which nothing is left but their lines in the ledger, and says how many.
    pub(in crate::archive::disk) fn forget(
        &mut self,
        ids: impl IntoIterator<Item = DeliveryId>,
    ) -> usize {
        let before = self.len();
        for id in ids {
            if let Some(position) = self.position(id)
                && self.place_at(position).is_none()
                && !self.copies.contains_key(&id)
            {
                self.forget_at(position);
            }
        }
        self.give_back();
        before.saturating_sub(self.len())
    }

    fn forget_at(&mut self, position: u32) {
        let Some(record) = self.records.get_mut(index(position)) else { return };
        self.by_id.forget(&record.id, position);
        self.firsts.forget(&record.fingerprint, position);
        let before = std::mem::replace(&mut record.state, PackedState::Forgotten);
        self.drop_packed(position, before);
        self.other_times.remove(&position);
        self.forgotten += 1;
    }

    /// Gives back the room of what is before the first delivery that is remembered.
    fn give_back(&mut self) {
        let Self { records, forgotten, by_id, firsts, by_inference, .. } = self;
        let is_remembered = |at: usize| records.get(at).is_some_and(Record::is_remembered);
        let before = records.positions();
        let first = before.clone().find(|at| is_remembered(*at)).unwrap_or(before.end);
        records.forget_before(first);
        *forgotten -= records.positions().start - before.start;
        by_id.shrink(|at| id_at(records, at));
        firsts.shrink(|at| fingerprint_at(records, at));
        by_inference.shrink(|at| inference_at(records, at));
    }

    /// Adds bytes that are no record, behind all that was added before.
    pub(in crate::archive::disk) fn note_damage(&mut self, segment: SegmentName, offset: u64) {
        self.damages.push(Damage { segment, offset, position: self.records.positions().end });
    }

    /// All damages.
    pub(in crate::archive::disk) fn damages(&self) -> &[Damage] {
        &self.damages
    }

    /// The damages before the delivery at this position, and behind the one before it.
    pub(in crate::archive::disk) fn damages_at(&self, position: usize) -> &[Damage] {
        let from = self.damages.partition_point(|damage| damage.position < position);
        let to = self.damages.partition_point(|damage| damage.position <= position);
        self.damages.get(from..to).unwrap_or_default()
    }
}

fn id_at(records: &Chunks<Record>, position: u32) -> Option<DeliveryId> {
    records.get(index(position)).map(|record| record.id)
}

fn fingerprint_at(records: &Chunks<Record>, position: u32) -> Option<ShortFingerprint> {
    records.get(index(position)).map(|record| record.fingerprint)
}

fn inference_at(records: &Chunks<Record>, position: u32) -> Option<InferenceId> {
    Some(records.get(index(position))?.state.processed_as()?.id())
}

/// [`Index::has_room_for`] keeps positions below the limit.
fn number(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

fn index(position: u32) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
