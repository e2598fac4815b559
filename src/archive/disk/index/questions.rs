//! What is asked of the index as a whole.

use std::{
    collections::{HashMap, HashSet},
    time::SystemTime,
};

use super::{Index, Kept};
use crate::{
    archive::{Query, disk::name::SegmentName},
    delivery::{DeliveryId, Outcome},
};

impl Index {
    /// Those that were removed, but of which something lies in a segment: a removal was interrupted.
    pub(in crate::archive::disk) fn left_over(&self) -> Vec<(DeliveryId, Vec<SegmentName>)> {
        let left = self.copies.iter().filter_map(|(id, copies)| Some((self.get(*id)?, copies)));
        left.filter(|(kept, _)| kept.place.is_none())
            .map(|(kept, copies)| (kept.id, copies.clone()))
            .collect()
    }

    /// Those with a body that `query` selects, and every segment in which something of each lies.
    pub(in crate::archive::disk) fn selected(
        &self,
        query: &Query,
    ) -> Vec<(DeliveryId, Vec<SegmentName>)> {
        let selected = self.all().filter(|kept| kept.is_selected(query));
        selected.map(|kept| (kept.id, self.segments_of(&kept))).collect()
    }

    /// Those with a body that `query` selects, and what became of each.
    pub(in crate::archive::disk) fn outcomes(
        &self,
        query: &Query,
    ) -> Vec<(DeliveryId, Option<Outcome>)> {
        let selected = self.all().filter(|kept| kept.is_selected(query));
        selected.map(|kept| (kept.id, kept.outcome())).collect()
    }

    /// The settled ones with a body in this segment.
    pub(in crate::archive::disk) fn settled_in(&self, segment: SegmentName) -> Vec<DeliveryId> {
        let here = |kept: &Kept<'_>| kept.place.is_some_and(|place| place.segment == segment);
        let settled = Query::all().settled();
        let done = self.all().filter(here).filter(|kept| kept.is_selected(&settled));
        done.map(|kept| kept.id).collect()
    }

    /// Whether a delivery lies in this segment that is none of these.
    pub(in crate::archive::disk) fn others_in(
        &self,
        segment: SegmentName,
        these: &HashSet<DeliveryId>,
    ) -> bool {
        self.all().any(|kept| {
            kept.place.is_some_and(|place| place.segment == segment) && !these.contains(&kept.id)
        })
    }

    /// When the first and the last delivery of each segment were received, as far as it holds bodies.
    pub(in crate::archive::disk) fn times(&self) -> HashMap<SegmentName, (SystemTime, SystemTime)> {
        let mut times = HashMap::new();
        for kept in self.all() {
            let Some(place) = kept.place else { continue };
            let at = kept.received_at;
            let (first, last) = times.entry(place.segment).or_insert((at, at));
            (*first, *last) = ((*first).min(at), (*last).max(at));
        }
        times
    }

    fn segments_of(&self, kept: &Kept<'_>) -> Vec<SegmentName> {
        let copies = self.copies.get(&kept.id).into_iter().flatten().copied();
        kept.place.iter().map(|place| place.segment).chain(copies).collect()
    }

    /// How many deliveries are remembered of which nothing is left but their lines in the ledger.
    pub(in crate::archive::disk) fn removed_count(&self) -> usize {
        self.all().filter(|kept| kept.place.is_none()).count()
    }

    /// The segments in which deliveries lie, also twice.
    pub(in crate::archive::disk) fn occupied(&self) -> HashSet<SegmentName> {
        let places = self.all().filter_map(|kept| kept.place.map(|place| place.segment));
        places.chain(self.copies.values().flatten().copied()).collect()
    }

    /// How many deliveries are pending.
    pub(in crate::archive::disk) fn pending(&self) -> usize {
        let pending = Query::all().pending();
        self.all().filter(|kept| kept.is_selected(&pending)).count()
    }
}
