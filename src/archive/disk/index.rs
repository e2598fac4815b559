use std::{
    collections::{HashMap, HashSet},
    time::SystemTime,
};

use super::{
    entry::{Facts, Place, Tombstone},
    name::SegmentName,
    warc::Meaning,
};
use crate::{
    archive::Query,
    delivery::{DeliveryId, Fingerprint, InferenceDigest, ModelName, Outcome},
};

/// What the archive knows without reading: where each delivery lies and what became of it, in the order of the log; and
/// the ledger of those that were removed.
///
/// Takes some 400 bytes of memory a delivery.
#[derive(Debug, Default)]
pub(super) struct Index {
    kept: Vec<Kept>,
    by_id: HashMap<DeliveryId, usize>,
    firsts: HashMap<Fingerprint, DeliveryId>,
    /// Where the delivery is that was processed as an inference, and the last one of its key.
    processed: HashMap<InferenceDigest, usize>,
    latest: HashMap<[u8; 16], usize>,
    models: HashSet<ModelName>,
    damages: Vec<Damage>,
    /// Where else a delivery lies whose batch was written twice.
    copies: HashMap<DeliveryId, Vec<SegmentName>>,
}

/// Bytes of a segment that are no record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Damage {
    pub(super) segment: SegmentName,
    pub(super) offset: u64,
    /// How many deliveries come before it.
    pub(super) position: usize,
}

/// One delivery of the index.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) facts: Facts,
    /// `None` once it was removed.
    pub(super) place: Option<Place>,
    pub(super) outcome: Option<Outcome>,
}

impl Kept {
    /// What is to stay of it.
    pub(super) fn tombstone(&self, removed_at: SystemTime) -> Tombstone {
        Tombstone { facts: self.facts.clone(), outcome: self.outcome.clone(), removed_at }
    }
}

impl Index {
    /// Takes in what a record means; `false` if it is about a delivery that is not there.
    pub(super) fn take(&mut self, meaning: Meaning, place: Place) -> bool {
        match meaning {
            Meaning::Delivery(facts) => self.insert(facts, place),
            Meaning::Outcome { of, outcome } => return self.settle(of, outcome),
            Meaning::Removed(tombstone) => self.bury(tombstone),
            Meaning::Nothing => {}
        }
        true
    }

    /// Adds a delivery. One that is there already, because its batch was written twice, lies at the new place from now
    /// on: of the two that is the one whose sync succeeded. One that was removed stays so.
    pub(super) fn insert(&mut self, facts: Facts, place: Place) {
        let id = facts.id;
        let Some(kept) = self.by_id.get(&id).and_then(|at| self.kept.get_mut(*at)) else {
            self.add(facts, Some(place), None);
            return;
        };
        let other = match &mut kept.place {
            Some(known) if known.segment == place.segment => return *known = place,
            Some(known) => std::mem::replace(known, place).segment,
            None => place.segment,
        };
        self.copies.entry(id).or_default().push(other);
    }

    /// Takes in what stayed of a delivery that was removed.
    fn bury(&mut self, tombstone: Tombstone) {
        let Tombstone { facts, outcome, .. } = tombstone;
        let id = facts.id;
        if self.by_id.contains_key(&id) {
            self.removed(id);
            outcome.map(|outcome| self.settle(id, outcome));
        } else {
            self.add(facts, None, outcome);
        }
    }

    fn add(&mut self, mut facts: Facts, place: Option<Place>, outcome: Option<Outcome>) {
        facts.model = self.interned(facts.model);
        self.by_id.insert(facts.id, self.kept.len());
        if self.first(facts.fingerprint).is_none() {
            self.firsts.insert(facts.fingerprint, facts.id);
        }
        self.note_processed(outcome.as_ref(), self.kept.len());
        self.kept.push(Kept { facts, place, outcome });
    }

    fn note_processed(&mut self, outcome: Option<&Outcome>, position: usize) {
        if let Some(Outcome::Processed { inference: Some(inference), .. }) = outcome {
            self.processed.insert(*inference, position);
            self.latest.insert(inference.key(), position);
        }
    }

    /// What was processed as this inference, or else last as one of its key, and as which.
    pub(super) fn processed_as(&self, inference: InferenceDigest) -> Option<(DeliveryId, Outcome)> {
        let exactly = self.processed.get(&inference);
        let kept = self.at(*exactly.or_else(|| self.latest.get(&inference.key()))?)?;
        Some((kept.facts.id, kept.outcome.clone()?))
    }

    /// Records what became of a delivery; `false` where there is no such delivery.
    pub(super) fn settle(&mut self, id: DeliveryId, outcome: Outcome) -> bool {
        let Some(&position) = self.by_id.get(&id) else { return false };
        self.note_processed(Some(&outcome), position);
        self.kept.get_mut(position).map(|kept| kept.outcome = Some(outcome)).is_some()
    }

    /// It is known to be removed; what lies of it somewhere is to be dropped.
    fn removed(&mut self, id: DeliveryId) {
        if let Some(kept) = self.by_id.get(&id).and_then(|at| self.kept.get_mut(*at))
            && let Some(place) = kept.place.take()
        {
            self.copies.entry(id).or_default().push(place.segment);
        }
    }

    /// The segment was written anew: its deliveries lie here now.
    pub(super) fn moved(&mut self, id: DeliveryId, place: Place) {
        if let Some(kept) = self.by_id.get(&id).and_then(|at| self.kept.get_mut(*at))
            && let Some(known) = &mut kept.place
            && known.segment == place.segment
        {
            *known = place;
        }
    }

    /// Nothing of the delivery is left in this segment but its line in the ledger.
    pub(super) fn dropped(&mut self, id: DeliveryId, segment: SegmentName) {
        if let Some(kept) = self.by_id.get(&id).and_then(|at| self.kept.get_mut(*at)) {
            kept.place = kept.place.filter(|place| place.segment != segment);
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
    pub(super) fn first(&self, fingerprint: Fingerprint) -> Option<DeliveryId> {
        let id = *self.firsts.get(&fingerprint)?;
        self.get(id).filter(|kept| kept.stands()).map(|_| id)
    }

    pub(super) fn get(&self, id: DeliveryId) -> Option<&Kept> {
        self.at(*self.by_id.get(&id)?)
    }

    /// The delivery at this position of the log.
    pub(super) fn at(&self, position: usize) -> Option<&Kept> {
        self.kept.get(position)
    }

    /// Those that were removed, but of which something lies in a segment: a removal was interrupted.
    pub(super) fn left_over(&self) -> Vec<(DeliveryId, Vec<SegmentName>)> {
        let left = self.copies.iter().filter_map(|(id, copies)| Some((self.get(*id)?, copies)));
        left.filter(|(kept, _)| kept.place.is_none())
            .map(|(kept, copies)| (kept.facts.id, copies.clone()))
            .collect()
    }

    /// Those with a body that `query` selects, and every segment in which something of each lies.
    pub(super) fn selected(&self, query: &Query) -> Vec<(DeliveryId, Vec<SegmentName>)> {
        let selected = self.kept.iter().filter(|kept| kept.is_selected(query));
        selected.map(|kept| (kept.facts.id, self.segments_of(kept))).collect()
    }

    /// Those with a body that `query` selects, and what became of each.
    pub(super) fn outcomes(&self, query: &Query) -> Vec<(DeliveryId, Option<Outcome>)> {
        let selected = self.kept.iter().filter(|kept| kept.is_selected(query));
        selected.map(|kept| (kept.facts.id, kept.outcome.clone())).collect()
    }

    /// The settled ones with a body in this segment.
    pub(super) fn settled_in(&self, segment: SegmentName) -> Vec<DeliveryId> {
        let here = |kept: &&Kept| kept.place.is_some_and(|place| place.segment == segment);
        let settled = Query::all().settled();
        let done = self.kept.iter().filter(here).filter(|kept| kept.is_selected(&settled));
        done.map(|kept| kept.facts.id).collect()
    }

    /// Whether a delivery lies in this segment that is none of these.
    pub(super) fn others_in(&self, segment: SegmentName, these: &HashSet<DeliveryId>) -> bool {
        self.kept.iter().any(|kept| {
            kept.place.is_some_and(|place| place.segment == segment)
                && !these.contains(&kept.facts.id)
        })
    }

    /// When the first and the last delivery of each segment were received, as far as it holds bodies.
    pub(super) fn times(&self) -> HashMap<SegmentName, (SystemTime, SystemTime)> {
        let mut times = HashMap::new();
        for kept in &self.kept {
            let Some(place) = kept.place else { continue };
            let at = kept.facts.received_at;
            let (first, last) = times.entry(place.segment).or_insert((at, at));
            (*first, *last) = ((*first).min(at), (*last).max(at));
        }
        times
    }

    fn segments_of(&self, kept: &Kept) -> Vec<SegmentName> {
        let copies = self.copies.get(&kept.facts.id).into_iter().flatten().copied();
        kept.place.iter().map(|place| place.segment).chain(copies).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// How many deliveries are pending.
    pub(super) fn pending(&self) -> usize {
        let pending = Query::all().pending();
        self.kept.iter().filter(|kept| kept.is_selected(&pending)).count()
    }

    /// Adds bytes that are no record, behind all that was added before.
    pub(super) fn note_damage(&mut self, segment: SegmentName, offset: u64) {
        self.damages.push(Damage { segment, offset, position: self.kept.len() });
    }

    /// The damages before the delivery at this position, and behind the one before it.
    pub(super) fn damages_at(&self, position: usize) -> &[Damage] {
        let from = self.damages.partition_point(|damage| damage.position < position);
        let to = self.damages.partition_point(|damage| damage.position <= position);
        self.damages.get(from..to).unwrap_or_default()
    }

    /// One copy of each name, however many deliveries are for it.
    fn interned(&mut self, model: ModelName) -> ModelName {
        if let Some(known) = self.models.get(&model) {
            return known.clone();
        }
        self.models.insert(model.clone());
        model
    }
}

impl Kept {
    /// Whether a repeat of it can be answered: its bytes are there, or are not needed any more.
    fn stands(&self) -> bool {
        self.place.is_some() || self.outcome.as_ref().is_some_and(Outcome::is_settled)
    }

    /// Whether it is there and `query` selects it.
    pub(super) fn is_selected(&self, query: &Query) -> bool {
        let Facts { id, ref model, received_at, .. } = self.facts;
        self.place.is_some()
            && query.selects_facts(id, model, received_at)
            && query.selects_outcome(self.outcome.as_ref())
    }
}
