//! Forgetting: ledger entries outlive bodies, but expire too.

use std::{collections::HashSet, time::SystemTime};

use super::compactor::{CompactionState, Compactor};
use crate::{
    archive::{
        ArchiveError,
        disk::{
            format::{
                entry::{Place, Tombstone},
                name::{SegmentName, SegmentState},
                warc::Meaning,
            },
            fs::{file_system::Failure, replace},
            index::Index,
            recovery::records,
        },
    },
    delivery::DeliveryId,
};

/// How many deliveries are forgotten before the lock on the index is released.
const FORGOTTEN_AT_A_TIME: usize = 128;

/// Facts about a segment that contains only ledger entries and outcomes.
#[derive(Debug)]
pub(in crate::archive::disk) struct Ledger {
    /// The receipt time of its last delivery; `None` if it contains none.
    last: Option<SystemTime>,
    /// A delivery that another segment remembers, and whose outcome is in this segment.
    needed_for: Option<DeliveryId>,
}

impl Compactor {
    /// Drops the oldest segments that contain only ledger entries of deliveries that no longer need to be remembered.
    pub(in crate::archive::disk) fn forget_old(
        &self,
        state: &mut CompactionState,
    ) -> Result<(), ArchiveError> {
        // Otherwise a power failure could bring back the bytes of a delivery that is no longer remembered.
        self.finish(state)?;
        let now = SystemTime::now();
        let mut remembered = self.read(Index::removed);
        let with_copies = self.read(Index::with_copies)?;
        for (name, segment_state) in self.sealed()? {
            if self.read(|index| index.received(name)).is_some()
                || with_copies.contains(&name)
                || self.is_damaged(name, state)
                || !self.is_due(name, remembered, now, state)?
                || self.is_cut(name, segment_state, state)?
            {
                continue;
            }
            let forgotten = self.forget_segment(name, segment_state, remembered, state)?;
            remembered = remembered.saturating_sub(forgotten);
        }
        Ok(())
    }

    /// Returns whether the segment may be due, as far as can be determined without reading it.
    fn is_due(
        &self,
        name: SegmentName,
        remembered: u64,
        now: SystemTime,
        state: &CompactionState,
    ) -> Result<bool, Failure> {
        let Some(ledger) = state.ledgers.get(&name) else { return Ok(true) };
        let needed = ledger.needed_for.map_or(Ok(None), |id| self.read(|index| index.get(id)))?;
        let is_old = ledger.last.is_none_or(|last| self.policy.forgets(last, remembered, now));
        Ok(needed.is_none() && is_old)
    }

    /// Drops a segment if it is due, and returns the number of deliveries that are forgotten with it.
    fn forget_segment(
        &self,
        name: SegmentName,
        segment_state: SegmentState,
        remembered: u64,
        state: &mut CompactionState,
    ) -> Result<u64, Failure> {
        let path = name.path(&self.dir, segment_state);
        let file = self.fs.open_read(&path).map_err(Failure::to("open", &path))?;
        let records = records(&*file, name, segment_state).map_err(Failure::to("read", &path))?;
        let Some(contents) = records.map(Contents::of) else {
            self.note_damaged(name, segment_state, state);
            return Ok(0);
        };
        if contents.has_bodies {
            return Ok(0);
        }
        let needed_for = self.read(|index| {
            for other in &contents.others {
                if index.get(*other)?.is_some() {
                    return Ok(Some(*other));
                }
            }
            Ok::<_, Failure>(None)
        })?;
        state.ledgers.insert(name, Ledger { last: contents.last, needed_for });
        // Without this segment, a leftover copy of a delivery would reappear.
        let mut gone = contents.removed.iter().chain(&contents.removes);
        let removals_to_finish = self.read(|index| gone.any(|id| index.has_copies(*id)));
        if removals_to_finish || !self.is_due(name, remembered, SystemTime::now(), state)? {
            return Ok(0);
        }
        let (fs, dir) = (&*self.fs, &*self.dir);
        self.announce_removal(name, state)?;
        self.change(|index| index.pin_file(name))?;
        replace::remove(fs, dir, &name.index_path(dir))?;
        replace::remove(fs, dir, &path)?;
        Self::removal_done(name, state);
        state.ledgers.remove(&name);
        // A delivery that is in two segments may already be forgotten.
        let removed: Vec<_> = contents.removed.into_iter().collect();
        let mut forgotten = 0;
        for some in removed.chunks(FORGOTTEN_AT_A_TIME) {
            forgotten += self.change(|index| index.forget(some.iter().copied()))?;
        }
        self.change(|index| index.drop_segment(name));
        tracing::info!(path = %dir.display(), segment = %name, forgotten, "forgot removed deliveries");
        Ok(forgotten)
    }
}

/// The contents of a segment without bodies.
#[derive(Default)]
struct Contents {
    removed: HashSet<DeliveryId>,
    last: Option<SystemTime>,
    /// The deliveries that it removes. The removals are needed while the bytes are in other segments.
    removes: HashSet<DeliveryId>,
    /// Whether it contains a delivery. Maintenance must never drop such a segment, regardless of the index.
    has_bodies: bool,
    /// The other deliveries for which it contains records.
    others: HashSet<DeliveryId>,
}

impl Contents {
    fn of(records: Vec<(Place, Meaning)>) -> Self {
        let mut contents = Self::default();
        for (_, meaning) in records {
            match meaning {
                Meaning::Removed(tombstones) => {
                    for Tombstone { meta, .. } in tombstones {
                        contents.removed.insert(meta.id);
                        contents.last = contents.last.max(Some(meta.received_at));
                    }
                }
                Meaning::State { of, .. } => drop(contents.others.insert(of)),
                Meaning::Delivery { .. } => contents.has_bodies = true,
                Meaning::Removal(ids) => contents.removes.extend(ids),
                Meaning::Nothing => {}
            }
        }
        let Self { removed, others, .. } = &mut contents;
        others.retain(|other| !removed.contains(other));
        contents
    }
}
