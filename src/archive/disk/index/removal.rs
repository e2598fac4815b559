//! Removes deliveries, erases their bytes, and forgets them.

use super::{Body, Index, Position, segment::Saved};
use crate::{
    archive::disk::{
        format::{entry::Place, name::SegmentName},
        fs::file_system::Failure,
    },
    delivery::DeliveryId,
};

impl Index {
    /// Marks a delivery as removed. Its bytes are still to be erased.
    pub(in crate::archive::disk) fn mark_removed(&mut self, id: DeliveryId) -> Result<(), Failure> {
        match self.locate(id)? {
            Some(position) => self.mark_removed_at(position),
            None => Ok(()),
        }
    }

    pub(super) fn mark_removed_at(&mut self, position: Position) -> Result<(), Failure> {
        let mut removed = None;
        self.modify(position, |entry| {
            if let Body::Stored(span) = entry.body {
                entry.body = Body::Removed(span);
            }
            removed = Some(entry.id);
        })?;
        if let Some(id) = removed {
            if self.copies.contains_key(&id) {
                self.to_erase.insert(id);
            }
            if self.unsettled.token(id).is_none() {
                self.unsettled.remove(id);
            }
        }
        Ok(())
    }

    /// Records that only the ledger entries of these deliveries remain in this segment.
    pub(in crate::archive::disk) fn note_erased(
        &mut self,
        ids: impl IntoIterator<Item = DeliveryId>,
        segment: SegmentName,
    ) -> Result<(), Failure> {
        for id in ids {
            if let Some(position) = self.locate(id)?
                && position.segment == segment
            {
                self.note_bytes_erased(position, Body::Erased)?;
            }
            let copies = self.copies.get(&id).into_iter().flatten();
            let here: Vec<_> = copies.copied().filter(|copy| copy.segment == segment).collect();
            for copy in here {
                self.note_bytes_erased(copy, Body::Forgotten)?;
            }
            if self.remaining_places(id)?.is_empty() {
                self.to_erase.remove(&id);
            }
        }
        Ok(())
    }

    /// Records that the bytes of an entry were erased, which the index file written with the segment already includes.
    fn note_bytes_erased(&mut self, position: Position, body: Body) -> Result<(), Failure> {
        let saved = self.slot(position)?.map(|slot| slot.saved);
        self.modify(position, |entry| entry.body = body)?;
        let segment = self.segment_mut(position.segment);
        if let (Some(Saved::Copied), Some(slot)) =
            (saved, segment.entries.get_mut(&position.number))
        {
            slot.saved = Saved::Copied;
        }
        Ok(())
    }

    /// Returns the deliveries that have only a ledger entry left, in this segment. `ids` must be sorted.
    pub(in crate::archive::disk) fn erased_in(
        &self,
        name: SegmentName,
        ids: &[DeliveryId],
    ) -> Result<Vec<DeliveryId>, Failure> {
        let Some(segment) = self.segments.get(&name) else { return Ok(Vec::new()) };
        let mut found = match &segment.file {
            Some(file) => file.of_ids(file.ids_in_range(ids))?,
            None => Vec::new(),
        };
        found.retain(|(number, _)| !segment.entries.contains_key(number));
        let in_memory = ids.iter().filter_map(|id| {
            let position = self.by_id.get(id).filter(|position| position.segment == name)?;
            let slot = segment.entries.get(&position.number)?;
            Some((position.number, slot.entry.clone()))
        });
        let erased = found.into_iter().chain(in_memory).map(|(_, entry)| entry);
        let erased = erased.filter(|entry| entry.body == Body::Erased);
        Ok(erased.map(|entry| entry.id).filter(|id| !self.has_copies(*id)).collect())
    }

    /// Returns the places of the remaining bytes of a removed delivery.
    pub(super) fn remaining_places(&self, id: DeliveryId) -> Result<Vec<Place>, Failure> {
        let copies = self.copies.get(&id).into_iter().flatten().copied();
        let mut places = Vec::new();
        for position in self.locate(id)?.into_iter().chain(copies) {
            let segment = self.segments.get(&position.segment);
            let entry = segment.map_or(Ok(None), |segment| segment.get(position.number))?;
            if let Some(Body::Removed(span) | Body::Copy(span)) = entry.map(|entry| entry.body) {
                places.push(span.in_segment(position.segment));
            }
        }
        Ok(places)
    }

    /// Forgets those of these deliveries that have only a ledger entry left, and returns their number.
    pub(in crate::archive::disk) fn forget(
        &mut self,
        ids: impl IntoIterator<Item = DeliveryId>,
    ) -> Result<u64, Failure> {
        let before = self.tally.removed;
        for id in ids {
            let Some(position) = self.locate(id)? else { continue };
            let is_gone = self.at(position)?.is_some_and(|entry| entry.place.is_none());
            if is_gone && !self.to_erase.contains(&id) {
                self.modify(position, |entry| entry.body = Body::Forgotten)?;
            }
        }
        Ok(before.saturating_sub(self.tally.removed))
    }

    /// Forgets a removed segment, and returns the number of deliveries forgotten with it.
    pub(in crate::archive::disk) fn drop_segment(&mut self, name: SegmentName) -> u64 {
        let Some(segment) = self.segments.remove(&name) else { return 0 };
        self.tally.subtract_all(&segment.tally);
        for (number, slot) in segment.entries {
            self.forget_links(Position { segment: name, number }, &slot.entry);
        }
        segment.tally.removed
    }
}
