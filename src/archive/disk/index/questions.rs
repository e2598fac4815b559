//! Queries over the whole index.

use std::{
    collections::{HashMap, HashSet},
    iter,
    ops::{Bound, Range},
    time::SystemTime,
};

use super::{Body, Damage, DeliveryEntry, Index, IndexEntry, Position, segment::Segment};
use crate::{
    archive::{
        Counts, LedgerEntry, Query, RemovedEntry, StateFilter,
        disk::{
            format::{
                entry::{DeliveryMeta, Place},
                index_file::IndexFile,
                name::SegmentName,
            },
            fs::file_system::Failure,
        },
    },
    delivery::{DeliveryId, State, StateKind},
};

/// The number of entries that are examined before other users of the index get access.
const AT_A_TIME: u32 = 1024;

/// The number of deliveries that are looked up by id before other users of the index get access.
const IDS_AT_A_TIME: usize = 256;

/// Like [`AT_A_TIME`], if an index file lists the matching entries.
const LISTED_AT_A_TIME: u32 = 8 * AT_A_TIME;

/// The position at which a query in parts continues: at this entry, or at the end of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::archive::disk) enum Cursor {
    Start,
    At(Position),
    /// After this one of the requested ids.
    Behind(DeliveryId),
    End,
}

/// The results in a part of the log, and the start of the next part.
#[derive(Debug)]
pub(in crate::archive::disk) struct Part {
    pub(in crate::archive::disk) found: Vec<Found>,
    pub(in crate::archive::disk) next: Cursor,
}

#[derive(Debug)]
pub(in crate::archive::disk) enum Found {
    Entry(DeliveryEntry),
    /// Bytes that are not a record, at their position in the log.
    Damage(Damage),
}

/// Iterates over the results in all parts of the log. `ask` returns the part that starts at a cursor. An error is the
/// last item, because the results after it cannot be found.
pub(in crate::archive::disk) fn each_found<E>(
    mut ask: impl FnMut(Cursor) -> Result<Part, E>,
) -> impl Iterator<Item = Result<Found, E>> {
    let (mut found, mut next) = (Vec::new().into_iter(), Cursor::Start);
    iter::from_fn(move || {
        loop {
            if let Some(one) = found.next() {
                return Some(Ok(one));
            }
            if next == Cursor::End {
                return None;
            }
            match ask(next) {
                Ok(part) => (found, next) = (part.found.into_iter(), part.next),
                Err(error) => {
                    next = Cursor::End;
                    return Some(Err(error));
                }
            }
        }
    })
}

/// A segment that may have records of the states of a delivery.
#[derive(Debug)]
pub(in crate::archive::disk) struct StateSource {
    pub(in crate::archive::disk) segment: SegmentName,
    /// The length of the segment, in bytes.
    pub(in crate::archive::disk) length: u64,
    /// The index file to ask whether it has some; `None` if it has.
    pub(in crate::archive::disk) file: Option<IndexFile>,
}

impl Index {
    /// Returns the position of a delivery, and the segments that may have records of its states, in the order of the
    /// log. Reads no index file but those that locate the delivery.
    pub(in crate::archive::disk) fn sources_of_states(
        &self,
        id: DeliveryId,
    ) -> Result<Option<(Position, Vec<StateSource>)>, Failure> {
        let Some(position) = self.locate(id)? else { return Ok(None) };
        let home = position.segment.to_string();
        let sources = self.segments.range(position.segment..).filter_map(|(name, segment)| {
            let file = match &segment.file {
                _ if *name == position.segment || segment.has_record_about(position) => None,
                Some(file) if file.has_home(&home) => Some(file.clone()),
                _ => return None,
            };
            Some(StateSource { segment: *name, length: segment.end, file })
        });
        Ok(Some((position, sources.collect())))
    }

    /// Returns the deliveries with a body that `query` selects, and the damage, in a part of the log. Other users of
    /// the index get access between two parts.
    pub(in crate::archive::disk) fn part(
        &self,
        query: &Query,
        from: Cursor,
    ) -> Result<Part, Failure> {
        if let Some(ids) = query.selected_ids() {
            return self.part_of_ids(ids, query, from);
        }
        let Some((start, segment)) = self.start_of_part(from) else {
            return Ok(Part { found: Vec::new(), next: Cursor::End });
        };
        let range = part_of(segment, query, start.number);
        let found = self.found(start.segment, segment, range.clone(), query)?;
        Ok(Part { found, next: self.behind(start.segment, range.end) })
    }

    /// Returns the first position of a part of the log, and its segment. None at the end.
    fn start_of_part(&self, from: Cursor) -> Option<(Position, &Segment)> {
        let (from, number) = match from {
            Cursor::At(position) => (Bound::Included(position.segment), position.number),
            Cursor::Start | Cursor::Behind(_) => (Bound::Unbounded, 0),
            Cursor::End => return None,
        };
        let (name, segment) = self.segments.range((from, Bound::Unbounded)).next()?;
        // The segment may have been removed, which invalidates the number.
        let is_same = matches!(from, Bound::Included(from) if from == *name);
        Some((Position { segment: *name, number: if is_same { number } else { 0 } }, segment))
    }

    /// Returns the start of the part behind the first `end` entries of a segment.
    fn behind(&self, name: SegmentName, end: u32) -> Cursor {
        if self.segments.get(&name).is_some_and(|segment| end < segment.len) {
            return Cursor::At(Position { segment: name, number: end });
        }
        let next = self.segments.range((Bound::Excluded(name), Bound::Unbounded)).next();
        next.map_or(Cursor::End, |(name, _)| Cursor::At(Position { segment: *name, number: 0 }))
    }

    /// Returns the next of these deliveries by id, sorted in the order of the log.
    fn part_of_ids(
        &self,
        ids: &[DeliveryId],
        query: &Query,
        from: Cursor,
    ) -> Result<Part, Failure> {
        let done = match from {
            Cursor::Start | Cursor::At(_) => 0,
            Cursor::Behind(last) => ids.partition_point(|id| *id <= last),
            Cursor::End => ids.len(),
        };
        let rest = ids.get(done..).unwrap_or_default();
        let some = rest.get(..rest.len().min(IDS_AT_A_TIME)).unwrap_or_default();
        let mut entries = Vec::new();
        for id in some {
            entries.extend(self.get(*id)?.filter(|entry| entry.is_selected(query)));
        }
        entries.sort_unstable_by_key(|entry| entry.position);
        let found = entries.into_iter().map(Found::Entry).collect();
        let next = if some.len() < rest.len() { some.last() } else { None };
        let next = next.map_or(Cursor::End, |last| Cursor::Behind(*last));
        Ok(Part { found, next })
    }

    /// Returns the final deliveries without a body in a part of the log, and the start of the next part.
    pub(in crate::archive::disk) fn removed_part(
        &self,
        from: Cursor,
    ) -> Result<(Vec<RemovedEntry>, Cursor), Failure> {
        let mut removed = Vec::new();
        let Some((start, segment)) = self.start_of_part(from) else {
            return Ok((removed, Cursor::End));
        };
        let end = start.number.saturating_add(AT_A_TIME).min(segment.len);
        for (_, entry) in segment.some(start.number..end, &Query::all())? {
            let IndexEntry { id, model, fingerprint, received_at, body, state } = entry;
            if matches!(body, Body::Removed(_) | Body::Erased) && state.is_final() {
                let entry = LedgerEntry::new(id, model, received_at, state);
                removed.push(RemovedEntry::new(entry, fingerprint));
            }
        }
        Ok((removed, self.behind(start.segment, end)))
    }

    fn found(
        &self,
        name: SegmentName,
        segment: &Segment,
        range: Range<u32>,
        query: &Query,
    ) -> Result<Vec<Found>, Failure> {
        let mut found = Vec::new();
        let mut damages = segment.damages.iter().peekable();
        let damage =
            |(offset, _): &(u64, u32)| Found::Damage(Damage { segment: name, offset: *offset });
        let is_last = range.end >= segment.len;
        // Damage before the range was returned with the previous part.
        while damages.next_if(|(_, before)| *before < range.start).is_some() {}
        for (number, entry) in self.selected_in(name, segment, range.clone(), query)? {
            while let Some(at) = damages.next_if(|(_, before)| *before <= number) {
                found.push(damage(at));
            }
            found.push(Found::Entry(entry));
        }
        let rest = damages.take_while(|(_, before)| *before < range.end || is_last);
        found.extend(rest.map(damage));
        Ok(found)
    }

    fn selected_in(
        &self,
        name: SegmentName,
        segment: &Segment,
        range: Range<u32>,
        query: &Query,
    ) -> Result<Vec<(u32, DeliveryEntry)>, Failure> {
        if !segment.may_hold(query) {
            return Ok(Vec::new());
        }
        let entries = segment.some(range, query)?.into_iter();
        let entry = |(number, entry)| {
            let entry = self.entry(Position { segment: name, number }, entry)?;
            entry.is_selected(query).then_some((number, entry))
        };
        Ok(entries.filter_map(entry).collect())
    }

    /// Returns the latest deliveries with a body that `query` selects in one part of the log, in the order of the log.
    /// Searches backwards from `before`, and returns the cursor to continue from.
    pub(in crate::archive::disk) fn part_before(
        &self,
        query: &Query,
        before: Cursor,
    ) -> Result<Part, Failure> {
        let (to, number) = match before {
            Cursor::End => (Bound::Unbounded, u32::MAX),
            Cursor::At(position) => (Bound::Included(position.segment), position.number),
            Cursor::Start | Cursor::Behind(_) => {
                return Ok(Part { found: Vec::new(), next: Cursor::Start });
            }
        };
        let mut segments = self.segments.range((Bound::Unbounded, to)).rev();
        let Some((name, segment)) = segments.next() else {
            return Ok(Part { found: Vec::new(), next: Cursor::Start });
        };
        let is_same = matches!(to, Bound::Included(to) if to == *name);
        let end = if is_same { number.min(segment.len) } else { segment.len };
        let range = end.saturating_sub(at_a_time(query))..end;
        let range = if segment.may_hold(query) { range } else { 0..end };
        let entries = self.selected_in(*name, segment, range.clone(), query)?.into_iter();
        let found = entries.map(|(_, entry)| Found::Entry(entry)).collect();
        let next = if range.start > 0 {
            Cursor::At(Position { segment: *name, number: range.start })
        } else {
            let next = segments.next();
            let end = |(name, segment): (&SegmentName, &Segment)| Position {
                segment: *name,
                number: segment.len,
            };
            next.map_or(Cursor::Start, |next| Cursor::At(end(next)))
        };
        Ok(Part { found, next })
    }

    /// Returns the deliveries with a body that `query` selects in a part of this segment, and the start of the next
    /// part.
    pub(in crate::archive::disk) fn part_of_segment(
        &self,
        name: SegmentName,
        query: &Query,
        from: u32,
    ) -> Result<(Vec<DeliveryEntry>, Option<u32>), Failure> {
        let Some(segment) = self.segments.get(&name) else { return Ok((Vec::new(), None)) };
        let range = part_of(segment, query, from);
        let selected = self.selected_in(name, segment, range.clone(), query)?;
        let entries = selected.into_iter().map(|(_, entry)| entry).collect();
        Ok((entries, (range.end < segment.len).then_some(range.end)))
    }

    /// Returns the removed deliveries whose bytes are not erased yet, with their places.
    pub(in crate::archive::disk) fn removals_to_finish(
        &self,
    ) -> Result<HashMap<DeliveryId, Vec<Place>>, Failure> {
        self.to_erase.iter().map(|id| Ok((*id, self.remaining_places(*id)?))).collect()
    }

    /// Returns the contents of a ledger entry of a delivery.
    pub(in crate::archive::disk) fn meta(
        &self,
        id: DeliveryId,
    ) -> Result<Option<(DeliveryMeta, State)>, Failure> {
        let Some(position) = self.locate(id)? else { return Ok(None) };
        Ok(self.raw(position)?.map(|entry| {
            let IndexEntry { id, model, fingerprint, received_at, state, .. } = entry;
            (DeliveryMeta { id, model, fingerprint, received_at }, state)
        }))
    }

    /// Returns true if the delivery has additional bytes, or bytes still to be erased.
    pub(in crate::archive::disk) fn has_copies(&self, id: DeliveryId) -> bool {
        self.to_erase.contains(&id) || self.copies.contains_key(&id)
    }

    /// Returns the segments that contain additional copies of deliveries, or bytes still to be erased.
    pub(in crate::archive::disk) fn with_copies(&self) -> Result<HashSet<SegmentName>, Failure> {
        let copies = self.copies.values().flatten().map(|copy| copy.segment);
        let mut segments: HashSet<_> = copies.collect();
        for id in &self.to_erase {
            segments.extend(self.remaining_places(*id)?.into_iter().map(|place| place.segment));
        }
        Ok(segments)
    }

    /// Returns bounds for the times of receipt of the deliveries with a body in a segment: the earliest and the latest.
    /// `None` if it has no such delivery.
    pub(in crate::archive::disk) fn received(
        &self,
        name: SegmentName,
    ) -> Option<(SystemTime, SystemTime)> {
        self.segments.get(&name)?.received()
    }

    /// Returns these bounds for all segments.
    pub(in crate::archive::disk) fn all_received(&self) -> Option<(SystemTime, SystemTime)> {
        let all = self.segments.values().filter_map(Segment::received);
        all.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
    }

    /// Returns the number of deliveries that have only a ledger entry.
    pub(in crate::archive::disk) fn removed(&self) -> u64 {
        self.tally.removed
    }

    /// Returns the number of entries in memory.
    #[cfg(test)]
    pub(in crate::archive::disk) fn entries_in_memory(&self) -> usize {
        self.segments.values().map(|segment| segment.entries.len()).sum()
    }

    /// Returns the number of deliveries, including those that have only a ledger entry.
    pub(in crate::archive::disk) fn len(&self) -> u64 {
        self.tally.removed + self.tally.counts.iter().map(|(_, _, count)| count).sum::<u64>()
    }

    /// Returns the number of unsettled deliveries with a body.
    pub(in crate::archive::disk) fn unsettled(&self) -> u64 {
        let counts = self.tally.counts.iter();
        counts.filter(|(_, kind, _)| !kind.is_settled()).map(|(_, _, count)| count).sum()
    }

    /// Returns the number of deliveries with a body, by model and state.
    pub(in crate::archive::disk) fn counts(&self) -> Counts {
        let mut counts = self.tally.counts.clone();
        let oldest = match self.unsettled.oldest() {
            Some(id) => self.in_memory(id).map(|entry| entry.received_at),
            // If nothing is queued because the archive is read-only, search the deliveries in memory.
            None if self.unsettled() > 0 => {
                let in_memory = self.by_id.keys().filter_map(|id| self.in_memory(*id));
                let unsettled =
                    in_memory.filter(|entry| entry.place.is_some() && !entry.state.is_settled());
                unsettled.map(|entry| entry.received_at).min()
            }
            None => None,
        };
        counts.set_oldest_unsettled(oldest);
        counts
    }

    /// Returns a delivery whose entry is in memory, as is the entry of every unsettled delivery.
    pub(in crate::archive::disk) fn in_memory(&self, id: DeliveryId) -> Option<DeliveryEntry> {
        let position = *self.by_id.get(&id)?;
        let slot = self.segments.get(&position.segment)?.entries.get(&position.number)?;
        self.entry(position, slot.entry.clone())
    }
}

/// Returns the next entries of a segment to examine; all of them if the query cannot select any.
fn part_of(segment: &Segment, query: &Query, from: u32) -> Range<u32> {
    let end =
        if segment.may_hold(query) { from.saturating_add(at_a_time(query)) } else { u32::MAX };
    from..end.min(segment.len)
}

fn at_a_time(query: &Query) -> u32 {
    match query.selected_states() {
        StateFilter::Pending
        | StateFilter::Unsettled
        | StateFilter::Only(
            StateKind::Pending
            | StateKind::Leased
            | StateKind::Failed
            | StateKind::Dead
            | StateKind::Undecodable,
        ) => LISTED_AT_A_TIME,
        _ => AT_A_TIME,
    }
}
