use std::{collections::HashMap, ops::Range, time::SystemTime};

use super::{
    Damage, Kept,
    brief::Brief,
    chunks::Chunks,
    names::Names,
    reasons::Reasons,
    received::Received,
    record::{Record, ShortFingerprint, Spot, short},
    table::Table,
};
use crate::{
    archive::disk::{
        entry::{Facts, Place, Tombstone},
        name::SegmentName,
        warc::Meaning,
    },
    delivery::{DeliveryId, Fingerprint, InferenceDigest, ModelName, Outcome},
};

/// What the archive knows without reading: where each delivery lies and what became of it, in the order of the log; and
/// the ledger of those that were removed.
///
/// Takes some 90 bytes of memory a delivery, and some ten more for one that was processed as an inference; reasons come
/// on top, each once.
#[derive(Debug, Default)]
pub(in crate::archive::disk) struct Index {
    records: Chunks<Record>,
    by_id: Table,
    /// The first of each fingerprint.
    firsts: Table,
    /// Those that were processed as an inference, by its key.
    by_inference: Table,
    reasons: Reasons,
    models: Names<ModelName>,
    segments: Names<SegmentName>,
    /// Offset and length where they do not fit into a record, by position.
    far: HashMap<u32, (u64, u64)>,
    /// Times of receipt that do not fit into a record, by position.
    other_times: HashMap<u32, SystemTime>,
    damages: Vec<Damage>,
    /// How many of the records are of deliveries that are not remembered any more.
    forgotten: usize,
    /// Where else a delivery lies whose batch was written twice.
    pub(super) copies: HashMap<DeliveryId, Vec<SegmentName>>,
}

impl Index {
    /// Takes in what a record means; `false` if it is about a delivery that is not there.
    pub(in crate::archive::disk) fn take(&mut self, meaning: Meaning, place: Place) -> bool {
        match meaning {
            Meaning::Delivery(facts) => self.insert(&facts, place),
            Meaning::Outcome { of, outcome } => return self.settle(of, &outcome),
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
    pub(in crate::archive::disk) fn insert(&mut self, facts: &Facts, place: Place) {
        let id = facts.id;
        let Some(position) = self.position(id) else {
            self.add(facts, Some(place), None);
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
        let other = known.map_or(place.segment, |known| known.segment);
        self.copies.entry(id).or_default().push(other);
    }

    /// Takes in what stayed of a delivery that was removed.
    fn bury(&mut self, tombstone: Tombstone) {
        let Tombstone { facts, outcome, .. } = tombstone;
        let id = facts.id;
        if self.position(id).is_some() {
            self.removed(id);
            outcome.map(|outcome| self.settle(id, &outcome));
        } else {
            self.add(&facts, None, outcome);
        }
    }

    fn add(&mut self, facts: &Facts, place: Option<Place>, outcome: Option<Outcome>) {
        let position = number(self.records.positions().end);
        let received = Received::beside(facts.id, facts.received_at).unwrap_or_else(|| {
            self.other_times.insert(position, facts.received_at);
            Received::ELSEWHERE
        });
        let is_known = self.first(facts.fingerprint).is_some();
        let spot = place.map(|place| self.spot(position, place));
        let model = self.models.number(&facts.model);
        self.records.push(Record::new(facts, received, spot, model));
        let records = &self.records;
        self.by_id.add(&facts.id, position, |at| id_at(records, at));
        if !is_known {
            self.set_first(short(facts.fingerprint), position);
        }
        if let Some(outcome) = outcome {
            self.note(position, &outcome);
        }
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

    fn note(&mut self, position: u32, outcome: &Outcome) {
        let Some(record) = self.records.get_mut(index(position)) else { return };
        let now = Brief::of(outcome, &mut self.reasons);
        let before = std::mem::replace(&mut record.outcome, now);
        self.drop_brief(position, before);
        let records = &self.records;
        if let Some(inference) = now.inference() {
            self.by_inference.add(&inference.key(), position, |at| inference_key_at(records, at));
        }
    }

    /// What became of a delivery has changed: this is not known of it any more.
    fn drop_brief(&mut self, position: u32, before: Brief) {
        if let Some(reason) = before.reason() {
            self.reasons.give_back(reason);
        }
        if let Some(inference) = before.inference() {
            self.by_inference.forget(&inference.key(), position);
        }
    }

    /// What was processed as this inference, or else last as one of its key, and as which.
    pub(in crate::archive::disk) fn processed_as(
        &self,
        inference: InferenceDigest,
    ) -> Option<(DeliveryId, Outcome)> {
        let key = inference.key();
        let of_key = self.by_inference.all(&key, |at| inference_key_at(&self.records, at));
        let in_these_bytes = |at: u32| {
            let record = self.records.get(index(at));
            record.is_some_and(|record| record.outcome.inference() == Some(inference))
        };
        let position = of_key.max_by_key(|at| (in_these_bytes(*at), *at))?;
        let kept = self.at(index(position))?;
        Some((kept.id, kept.outcome()?))
    }

    /// Records what became of a delivery; `false` where there is no such delivery.
    pub(in crate::archive::disk) fn settle(&mut self, id: DeliveryId, outcome: &Outcome) -> bool {
        let position = self.position(id);
        position.map(|position| self.note(position, outcome)).is_some()
    }

    /// It is known to be removed; what lies of it somewhere is to be dropped.
    fn removed(&mut self, id: DeliveryId) {
        if let Some(position) = self.position(id)
            && let Some(place) = self.place_at(position)
        {
            self.put(position, None);
            self.copies.entry(id).or_default().push(place.segment);
        }
    }

    /// The segment was written anew: its deliveries lie here now.
    pub(in crate::archive::disk) fn moved(&mut self, id: DeliveryId, place: Place) {
        if let Some(position) = self.position(id)
            && self.place_at(position).is_some_and(|known| known.segment == place.segment)
        {
            self.put(position, Some(place));
        }
    }

    /// Nothing of the delivery is left in this segment but its line in the ledger.
    pub(in crate::archive::disk) fn dropped(&mut self, id: DeliveryId, segment: SegmentName) {
        if let Some(position) = self.position(id)
            && self.place_at(position).is_some_and(|place| place.segment == segment)
        {
            self.put(position, None);
        }
        if let Some(copies) = self.copies.get_mut(&id) {
            copies.retain(|copy| *copy != segment);
            if copies.is_empty() {
                self.copies.remove(&id);
            }
        }
    }

    /// The delivery that came first with these bytes for this model. One that was removed before it was settled does
    /// not count: its bytes are nowhere, and are archived anew.
    pub(in crate::archive::disk) fn first(&self, fingerprint: Fingerprint) -> Option<DeliveryId> {
        let fingerprint = short(fingerprint);
        let position = self.firsts.get(&fingerprint, |at| fingerprint_at(&self.records, at))?;
        self.at(index(position)).filter(Kept::stands).map(|kept| kept.id)
    }

    pub(in crate::archive::disk) fn get(&self, id: DeliveryId) -> Option<Kept<'_>> {
        self.at(index(self.position(id)?))
    }

    /// The delivery at this position of the log, if it is remembered.
    pub(in crate::archive::disk) fn at(&self, position: usize) -> Option<Kept<'_>> {
        let record = self.records.get(position).filter(|record| record.is_remembered())?;
        Some(Kept {
            id: record.id,
            model: self.models.name(record.model)?,
            received_at: self.received_at(number(position), record)?,
            place: self.place(number(position), record),
            brief: record.outcome,
            reasons: &self.reasons,
        })
    }

    pub(super) fn all(&self) -> impl Iterator<Item = Kept<'_>> {
        self.some(self.positions())
    }

    pub(super) fn some(&self, positions: Range<usize>) -> impl Iterator<Item = Kept<'_>> {
        positions.filter_map(|position| self.at(position))
    }

    /// The positions of the log at which deliveries may be remembered.
    pub(in crate::archive::disk) fn positions(&self) -> Range<usize> {
        self.records.positions()
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
        match (u32::try_from(place.offset), u32::try_from(place.length)) {
            (Ok(offset), Ok(length)) if offset != Spot::FAR => Spot { offset, length, segment },
            _ => {
                self.far.insert(position, (place.offset, place.length));
                Spot { offset: Spot::FAR, length: 0, segment }
            }
        }
    }

    fn put(&mut self, position: u32, place: Option<Place>) {
        self.far.remove(&position);
        let spot = place.map(|place| self.spot(position, place));
        if let Some(record) = self.records.get_mut(index(position)) {
            record.spot = spot;
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
        let before = std::mem::replace(&mut record.outcome, Brief::Forgotten);
        self.drop_brief(position, before);
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
        by_inference.shrink(|at| inference_key_at(records, at));
    }

    /// Adds bytes that are no record, behind all that was added before.
    pub(in crate::archive::disk) fn note_damage(&mut self, segment: SegmentName, offset: u64) {
        self.damages.push(Damage { segment, offset, position: self.records.positions().end });
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

fn inference_key_at(records: &Chunks<Record>, position: u32) -> Option<[u8; 12]> {
    Some(records.get(index(position))?.outcome.inference()?.key())
}

/// No archive has more deliveries: a thousand a second for more than a month, all of them in memory.
fn number(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

fn index(position: u32) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
