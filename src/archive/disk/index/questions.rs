//! What is asked of the index as a whole.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};

use super::{EntryRef, Index, Survey};
use crate::{
    archive::{
        Counts, Query,
        disk::{entry::Place, name::SegmentName},
    },
    delivery::DeliveryId,
};

impl Index {
    /// The positions at which deliveries can lie that `query` selects.
    pub(in crate::archive::disk) fn candidates(&self, query: &Query) -> Range<usize> {
        match query.selected_id() {
            Some(id) => self.position_of(id).map_or(0..0, |position| position..position + 1),
            None => self.positions(),
        }
    }

    /// The deliveries that were removed and whose bytes are not erased, with their places.
    pub(in crate::archive::disk) fn left_over(&self) -> HashMap<DeliveryId, Vec<Place>> {
        let is_removed = |id| self.get(id).is_some_and(|entry| entry.place.is_none());
        let left = self.copies.iter().filter(|(id, _)| is_removed(**id));
        left.map(|(id, places)| (*id, places.clone())).collect()
    }

    /// The delivery at this position, if it has a body and `query` selects it.
    pub(in crate::archive::disk) fn selected_at(
        &self,
        position: usize,
        query: &Query,
    ) -> Option<DeliveryId> {
        self.at(position).filter(|entry| entry.is_selected(query)).map(|entry| entry.id)
    }

    /// The deliveries with a body at these positions that `query` selects.
    pub(in crate::archive::disk) fn selected(
        &self,
        positions: Range<usize>,
        query: &Query,
    ) -> impl Iterator<Item = EntryRef<'_>> {
        self.some(positions).filter(|entry| entry.is_selected(query))
    }

    /// The ids of the deliveries with a body in this segment, at these positions, that `query` selects.
    pub(in crate::archive::disk) fn selected_in(
        &self,
        segment: SegmentName,
        positions: Range<usize>,
        query: &Query,
    ) -> Vec<DeliveryId> {
        let here = |entry: &EntryRef<'_>| entry.place.is_some_and(|place| place.segment == segment);
        self.selected(positions, query).filter(here).map(|entry| entry.id).collect()
    }

    /// Whether something of it lies elsewhere too, or still.
    pub(in crate::archive::disk) fn has_copies(&self, id: DeliveryId) -> bool {
        self.copies.contains_key(&id)
    }

    /// Adds what these positions tell to a survey.
    pub(in crate::archive::disk) fn survey(&self, positions: Range<usize>, survey: &mut Survey) {
        self.some(positions).for_each(|entry| survey.add(&entry));
    }

    /// The segments in which a delivery lies once more, or still.
    pub(in crate::archive::disk) fn with_copies(&self) -> HashSet<SegmentName> {
        self.copies.values().flatten().map(|place| place.segment).collect()
    }

    /// How many deliveries with a body are not settled.
    pub(in crate::archive::disk) fn unsettled(&self) -> u64 {
        let counts = self.counts.iter();
        counts.filter(|(_, kind, _)| !kind.is_settled()).map(|(_, _, count)| count).sum()
    }

    /// How many deliveries with a body there are, by model and state.
    pub(in crate::archive::disk) fn counts(&self) -> Counts {
        let mut counts = self.counts.clone();
        let oldest = match self.unsettled.oldest() {
            Some(id) => self.get(id).map(|entry| entry.received_at),
            // Where nothing is queued, because the archive is read-only, the deliveries are looked at one by one.
            None if self.unsettled() > 0 => {
                let unsettled = Query::all().unsettled();
                self.selected(self.positions(), &unsettled).map(|entry| entry.received_at).min()
            }
            None => None,
        };
        counts.set_oldest_unsettled(oldest);
        counts
    }
}
