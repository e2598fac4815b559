use std::{collections::HashMap, ops::Range};

use super::{
    Damage, Kept,
    chunks::Chunks,
    names::Names,
    outcomes::{Brief, Outcomes},
    record::{Record, Spot, short},
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
/// Takes some 90 bytes of memory a delivery, and some 50 more for one that was processed as an inference.
#[derive(Debug, Default)]
pub(in crate::archive::disk) struct Index {
    records: Chunks<Record>,
    by_id: Table,
    /// The first of each fingerprint.
    firsts: Table,
    outcomes: Outcomes,
    models: Names<ModelName>,
    segments: Names<SegmentName>,
    /// The lengths of records that are longer than 4 GiB, by where they lie.
    long: HashMap<(SegmentName, u64), u64>,
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
            Meaning::Outcome { of, outcome } => return self.settle(of, outcome),
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
            outcome.map(|outcome| self.settle(id, outcome));
        } else {
            self.add(&facts, None, outcome);
        }
    }

    fn add(&mut self, facts: &Facts, place: Option<Place>, outcome: Option<Outcome>) {
        let position = number(self.records.positions().end);
        let spot = place.map(|place| self.spot(place));
        let model = self.models.number(&facts.model);
        let record = Record::new(facts.id, facts.fingerprint, facts.received_at, spot, model);
        let fingerprint = record.fingerprint;
        let is_first = self.first(facts.fingerprint).is_none();
        self.records.push(record);
        let records = &self.records;
        self.by_id.set(&facts.id, position, |at| id_at(records, at));
        if is_first {
            self.firsts.set(&fingerprint, position, |at| fingerprint_at(records, at));
        }
        if let Some(outcome) = outcome {
            self.note(position, outcome);
        }
    }

    fn note(&mut self, position: u32, outcome: Outcome) {
        if let Some(record) = self.records.get_mut(index(position)) {
            record.outcome = self.outcomes.note(position, outcome, record.outcome);
        }
    }

    /// What was processed as this inference, or else last as one of its key, and as which.
    pub(in crate::archive::disk) fn processed_as(
        &self,
        inference: InferenceDigest,
    ) -> Option<(DeliveryId, Outcome)> {
        let kept = self.at(index(self.outcomes.processed_as(inference)?))?;
        Some((kept.id, kept.outcome()?))
    }

    /// Records what became of a delivery; `false` where there is no such delivery.
    pub(in crate::archive::disk) fn settle(&mut self, id: DeliveryId, outcome: Outcome) -> bool {
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
            received_at: record.received_at(),
            place: self.place(record),
            outcome: self.outcomes.of(number(position), record.outcome),
        })
    }

    pub(super) fn all(&self) -> impl Iterator<Item = Kept<'_>> {
        self.positions().filter_map(|position| self.at(position))
    }

    /// The positions of the log at which deliveries may be remembered.
    pub(in crate::archive::disk) fn positions(&self) -> Range<usize> {
        self.records.positions()
    }

    fn position(&self, id: DeliveryId) -> Option<u32> {
        self.by_id.get(&id, |at| id_at(&self.records, at))
    }

    fn place_at(&self, position: u32) -> Option<Place> {
        self.place(self.records.get(index(position))?)
    }

    fn place(&self, record: &Record) -> Option<Place> {
        let Spot { offset, length, segment } = record.spot?;
        let segment = *self.segments.name(segment)?;
        let long = || self.long.get(&(segment, offset)).copied();
        let length = if length == u32::MAX { long()? } else { length.into() };
        Some(Place { segment, offset, length })
    }

    fn spot(&mut self, place: Place) -> Spot {
        let Place { segment, offset, length } = place;
        let short = u32::try_from(length).unwrap_or(u32::MAX);
        if short == u32::MAX {
            self.long.insert((segment, offset), length);
        }
        Spot { offset, length: short, segment: self.segments.number(&segment) }
    }

    fn put(&mut self, position: u32, place: Option<Place>) {
        let spot = place.map(|place| self.spot(place));
        if let Some(record) = self.records.get_mut(index(position)) {
            record.spot = spot;
        }
    }

    /// How many deliveries are remembered.
    pub(in crate::archive::disk) fn len(&self) -> usize {
        self.positions().len() - self.forgotten
    }

    /// Forgets these deliveries, of which nothing is left but their lines in the ledger.
    pub(in crate::archive::disk) fn forget(&mut self, ids: impl IntoIterator<Item = DeliveryId>) {
        for id in ids {
            if let Some(position) = self.position(id)
                && self.place_at(position).is_none()
            {
                self.forget_at(position);
            }
        }
        self.give_back();
    }

    fn forget_at(&mut self, position: u32) {
        let Some(record) = self.records.get_mut(index(position)) else { return };
        self.by_id.forget(&record.id, position);
        self.firsts.forget(&record.fingerprint, position);
        self.outcomes.forget(position, record.outcome);
        record.outcome = Brief::Forgotten;
        self.forgotten += 1;
    }

    /// Gives back the room of what is before the first delivery that is remembered.
    fn give_back(&mut self) {
        let Self { records, outcomes, forgotten, by_id, firsts, .. } = self;
        let is_remembered = |at: usize| records.get(at).is_some_and(Record::is_remembered);
        outcomes.give_back(|position| is_remembered(index(position)));
        let before = records.positions();
        let first = before.clone().find(|at| is_remembered(*at)).unwrap_or(before.end);
        records.forget_before(first);
        *forgotten -= records.positions().start - before.start;
        by_id.shrink(|at| id_at(records, at));
        firsts.shrink(|at| fingerprint_at(records, at));
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

fn fingerprint_at(records: &Chunks<Record>, position: u32) -> Option<[u8; 16]> {
    records.get(index(position)).map(|record| record.fingerprint)
}

/// No archive has more deliveries: a thousand a second for more than a month, all of them in memory.
fn number(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

fn index(position: u32) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}
