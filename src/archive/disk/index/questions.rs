//! What is asked of the index as a whole.

use std::{collections::HashSet, ops::Range};

use super::{Index, Kept, Survey};
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

    /// The delivery at this position, if it has a body and `query` selects it.
    pub(in crate::archive::disk) fn selected_at(
        &self,
        position: usize,
        query: &Query,
    ) -> Option<DeliveryId> {
        self.at(position).filter(|kept| kept.is_selected(query)).map(|kept| kept.id)
    }

    /// Those at these positions with a body that `query` selects, and every segment in which something of each lies.
    pub(in crate::archive::disk) fn selected(
        &self,
        positions: Range<usize>,
        query: &Query,
    ) -> Vec<(DeliveryId, Vec<SegmentName>)> {
        let selected = self.some(positions).filter(|kept| kept.is_selected(query));
        selected.map(|kept| (kept.id, self.segments_of(&kept))).collect()
    }

    /// Those at these positions with a body that `query` selects, and what became of each.
    pub(in crate::archive::disk) fn outcomes(
        &self,
        positions: Range<usize>,
        query: &Query,
    ) -> Vec<(DeliveryId, Option<Outcome>)> {
        let selected = self.some(positions).filter(|kept| kept.is_selected(query));
        selected.map(|kept| (kept.id, kept.outcome())).collect()
    }

    /// The settled ones at these positions with a body in this segment.
    pub(in crate::archive::disk) fn settled_in(
        &self,
        positions: Range<usize>,
        segment: SegmentName,
    ) -> Vec<DeliveryId> {
        let here = |kept: &Kept<'_>| kept.place.is_some_and(|place| place.segment == segment);
        let settled = Query::all().settled();
        let done = self.some(positions).filter(here).filter(|kept| kept.is_selected(&settled));
        done.map(|kept| kept.id).collect()
    }

    /// Whether a delivery at these positions lies in this segment that is none of these.
    pub(in crate::archive::disk) fn others_in(
        &self,
        positions: Range<usize>,
        segment: SegmentName,
        these: &HashSet<DeliveryId>,
    ) -> bool {
        self.some(positions).any(|kept| {
            kept.place.is_some_and(|place| place.segment == segment) && !these.contains(&kept.id)
        })
    }

    /// Whether something of it lies elsewhere too, or still.
    pub(in crate::archive::disk) fn has_copies(&self, id: DeliveryId) -> bool {
        self.copies.contains_key(&id)
    }

    fn segments_of(&self, kept: &Kept<'_>) -> Vec<SegmentName> {
        let copies = self.copies.get(&kept.id).into_iter().flatten().copied();
        kept.place.iter().map(|place| place.segment).chain(copies).collect()
    }

    /// Adds what these positions tell to a survey.
    pub(in crate::archive::disk) fn survey(&self, positions: Range<usize>, survey: &mut Survey) {
        self.some(positions).for_each(|kept| survey.add(&kept));
    }

    /// The segments in which a delivery lies once more, or still.
    pub(in crate::archive::disk) fn with_copies(&self) -> HashSet<SegmentName> {
        self.copies.values().flatten().copied().collect()
    }

    /// How many deliveries are pending.
    pub(in crate::archive::disk) fn pending(&self) -> usize {
        let pending = Query::all().pending();
        self.all().filter(|kept| kept.is_selected(&pending)).count()
    }
}
