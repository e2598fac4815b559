use std::collections::{HashMap, HashSet};

use super::{entry::Place, name::SegmentName};
use crate::delivery::{DeliveryId, Digest, ModelName, Outcome};

/// What the archive knows without reading: where each delivery lies and what became of it, in the order of the log.
///
/// Takes some 300 bytes of memory a delivery.
#[derive(Debug, Default)]
pub(super) struct Index {
    kept: Vec<Kept>,
    by_id: HashMap<DeliveryId, usize>,
    by_bytes: HashMap<(ModelName, Digest), DeliveryId>,
    models: HashSet<ModelName>,
    damages: Vec<Damage>,
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
    pub(super) place: Place,
    pub(super) outcome: Option<Outcome>,
}

impl Index {
    /// Adds a delivery. One that is there already, because its batch was written twice, lies at the new place from now
    /// on: of the two that is the one whose sync succeeded.
    pub(super) fn insert(
        &mut self,
        id: DeliveryId,
        model: ModelName,
        digest: Digest,
        place: Place,
    ) {
        if let Some(kept) = self.by_id.get(&id).and_then(|at| self.kept.get_mut(*at)) {
            kept.place = place;
            return;
        }
        let model = self.interned(model);
        self.by_id.insert(id, self.kept.len());
        self.by_bytes.entry((model, digest)).or_insert(id);
        self.kept.push(Kept { place, outcome: None });
    }

    /// Records what became of a delivery; `false` where there is no such delivery.
    pub(super) fn settle(&mut self, id: DeliveryId, outcome: Outcome) -> bool {
        let kept = self.by_id.get(&id).and_then(|at| self.kept.get_mut(*at));
        kept.map(|kept| kept.outcome = Some(outcome)).is_some()
    }

    /// The delivery that came first with these bytes for this model.
    pub(super) fn first(&self, bytes: &(ModelName, Digest)) -> Option<DeliveryId> {
        self.by_bytes.get(bytes).copied()
    }

    pub(super) fn get(&self, id: DeliveryId) -> Option<&Kept> {
        self.at(*self.by_id.get(&id)?)
    }

    /// The delivery at this position of the log.
    pub(super) fn at(&self, position: usize) -> Option<&Kept> {
        self.kept.get(position)
    }

    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// How many deliveries have no outcome yet.
    pub(super) fn pending(&self) -> usize {
        self.kept.iter().filter(|kept| kept.outcome.is_none()).count()
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
