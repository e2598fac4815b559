use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ops::Range,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::SystemTime,
};

use tokio::sync::oneshot;

use super::{
    failure::Failure,
    index::{Index, Kept, Survey},
    index_file,
    listing::Listing,
    medium::Medium,
    name::{Form, SegmentName},
    plan::Command,
    queue::Queue,
    replace,
    rewrite::{Burial, Rewrite, Rewritten},
    state::State,
    terms::Terms,
};
use crate::{
    archive::{ArchiveError, Query},
    delivery::{DeliveryId, Outcome},
};

/// How many deliveries are looked at before others get at the index.
const AT_A_TIME: usize = 4096;

/// Looks after the segments to which nothing is written any more. Does one thing at a time, and never waits for the
/// writer but to have a segment sealed.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) medium: Arc<dyn Medium>,
    pub(super) dir: PathBuf,
    pub(super) index: Arc<RwLock<Index>>,
    pub(super) queue: Arc<Queue>,
    pub(super) terms: Terms,
    pub(super) state: Mutex<State>,
}

/// What came of writing a segment anew.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// How many bytes shorter it is.
    pub(super) freed: u64,
    /// The removed deliveries of which it holds the line in the ledger.
    pub(super) told: HashSet<DeliveryId>,
}

/// What is to be removed, by segment.
type Removals = BTreeMap<SegmentName, Vec<DeliveryId>>;

impl Keeper {
    /// Changes nothing from now on: the directory may soon be another's.
    pub(super) fn close(&self) {
        self.lock().lock = None;
    }

    /// The right to change segments; an error once the archive is closed.
    pub(super) fn turn(&self) -> Result<MutexGuard<'_, State>, ArchiveError> {
        let state = self.lock();
        if state.lock.is_none() { Err(ArchiveError::Closed) } else { Ok(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes what `query` selects, and says how much.
    pub(super) fn remove(&self, query: &Query) -> Result<u64, ArchiveError> {
        let mut state = self.turn()?;
        self.remove_in_turn(query, &mut state)
    }

    pub(super) fn remove_in_turn(
        &self,
        query: &Query,
        state: &mut State,
    ) -> Result<u64, ArchiveError> {
        self.finish_removals(state)?;
        let selected = self.selected(query);
        let removed = selected.len() as u64;
        self.bury(selected, state)?;
        if removed > 0 {
            tracing::info!(path = %self.dir.display(), removed, ?query, "removed deliveries");
        }
        Ok(removed)
    }

    /// Finishes removals that failed half-way: what the index knows to be gone may still be in a file, or come back into
    /// one with the power.
    pub(super) fn finish_removals(&self, state: &mut State) -> Result<(), ArchiveError> {
        self.finish(state)?;
        self.bury(self.read(Index::left_over), state)
    }

    /// Makes durable what was renamed, and removes what may not stay beside it.
    fn finish(&self, state: &mut State) -> Result<(), Failure> {
        let (medium, dir) = (&*self.medium, &*self.dir);
        if state.unsynced {
            medium.sync_dir(dir).map_err(Failure::to("sync", dir))?;
            state.unsynced = false;
        }
        while let Some(path) = state.leftovers.first() {
            replace::remove(medium, dir, path)?;
            state.leftovers.pop_first();
        }
        Ok(())
    }

    /// Leaves nothing of these deliveries but their lines in the ledger.
    pub(super) fn bury(
        &self,
        deliveries: Vec<(DeliveryId, Vec<SegmentName>)>,
        state: &mut State,
    ) -> Result<(), ArchiveError> {
        let mut removals = Removals::new();
        for (id, segments) in deliveries {
            for name in segments {
                removals.entry(name).or_default().push(id);
            }
        }
        if removals.is_empty() {
            return Ok(());
        }
        let mut segments = self.segments()?;
        if removals.keys().any(|name| segments.get(name) == Some(&Form::Open)) {
            self.seal()?;
            segments = self.segments()?;
        }
        let mut told = HashSet::new();
        for (name, ids) in removals {
            if let Some(form) = segments.get(&name) {
                let to = (*form).max(Form::Sealed);
                told.extend(self.rewrite(name, *form, to, &ids, state)?.told);
                self.forget_untold(&ids, &told);
            }
        }
        Ok(())
    }

    /// Of a delivery that was damaged, what stays in the ledger may not be known. The next start will know nothing of
    /// it, and so nothing is known of it from now on.
    pub(super) fn forget_untold(&self, ids: &[DeliveryId], told: &HashSet<DeliveryId>) {
        let untold: Vec<_> = ids.iter().copied().filter(|id| !told.contains(id)).collect();
        if !untold.is_empty() {
            let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
            index.forget(untold);
        }
    }

    /// Has the writer seal what it is writing.
    pub(super) fn seal(&self) -> Result<(), ArchiveError> {
        let (reply, sealed) = oneshot::channel();
        self.queue.push(Command::Seal(reply))?;
        sealed.blocking_recv().unwrap_or(Err(ArchiveError::Closed))
    }

    pub(super) fn segments(&self) -> Result<BTreeMap<SegmentName, Form>, Failure> {
        Ok(Listing::of_dir(&*self.medium, &self.dir)?.segments)
    }

    pub(super) fn read<T>(&self, what: impl FnOnce(&Index) -> T) -> T {
        what(&self.index.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks at all there is. Others get at the index in between: there may be millions.
    pub(super) fn survey(&self) -> Survey {
        let mut survey = Survey::default();
        self.parts().for_each(|part| self.read(|index| index.survey(part, &mut survey)));
        survey
    }

    /// All positions of the index, so many at a time that nobody waits long.
    fn parts(&self) -> impl Iterator<Item = Range<usize>> {
        self.read(Index::positions).step_by(AT_A_TIME).map(|from| from..from + AT_A_TIME)
    }

    fn selected(&self, query: &Query) -> Vec<(DeliveryId, Vec<SegmentName>)> {
        self.parts().flat_map(|part| self.read(|index| index.selected(part, query))).collect()
    }

    /// What became of each with a body that `query` selects.
    pub(super) fn outcomes(&self, query: &Query) -> Vec<(DeliveryId, Option<Outcome>)> {
        self.parts().flat_map(|part| self.read(|index| index.outcomes(part, query))).collect()
    }

    /// The settled ones with a body in this segment.
    pub(super) fn settled_in(&self, name: SegmentName) -> Vec<DeliveryId> {
        self.parts().flat_map(|part| self.read(|index| index.settled_in(part, name))).collect()
    }

    /// Whether a delivery lies in this segment that is none of these.
    fn others_in(&self, name: SegmentName, these: &HashSet<DeliveryId>) -> bool {
        self.parts().any(|part| self.read(|index| index.others_in(part, name, these)))
    }

    /// Writes a segment anew, without these deliveries.
    ///
    /// The new file is whole and durable before it takes the place of the old one. Readers wait for no more than the
    /// renaming.
    pub(super) fn rewrite(
        &self,
        name: SegmentName,
        from: Form,
        to: Form,
        ids: &[DeliveryId],
        state: &mut State,
    ) -> Result<Done, Failure> {
        let result = self.try_rewrite(name, (from, to), ids, state);
        result.inspect_err(|_| {
            state.leftovers.extend(replace::give_up(&*self.medium, &name.path(&self.dir, to)));
        })
    }

    fn try_rewrite(
        &self,
        name: SegmentName,
        (from, to): (Form, Form),
        ids: &[DeliveryId],
        state: &mut State,
    ) -> Result<Done, Failure> {
        let (medium, dir) = (&*self.medium, &*self.dir);
        let drop = self.burials(name, ids);
        let these = ids.iter().copied().collect();
        // One that is not where the index can tell may be in any damaged bytes.
        let located = drop.values().all(|burial| burial.place.is_some());
        let keep_damage = ids.is_empty() || located && self.others_in(name, &these);
        let new = Rewrite { medium, dir, name, from, to, drop: &drop, keep_damage }.run()?;
        if new.damaged && from != to && to == Form::Packed {
            // Other tools can read neither damaged bytes among compressed records nor behind them.
            state.damaged.insert(name);
            replace::remove(medium, dir, &new.unfinished)?;
            return Ok(Done::default());
        }
        // An index file of the old form must not be there with the new one.
        state.indexed.remove(&name);
        replace::remove(medium, dir, &name.index_path(dir))?;
        self.take_place(name, &new, ids)?;
        state.unsynced = true;
        state.leftovers.extend((from != to).then(|| name.path(dir, from)));
        self.finish(state)?;
        if !new.damaged {
            state.damaged.remove(&name);
            self.write_index(name, &new)?;
            state.indexed.insert(name);
        }
        let freed = new.old_length.saturating_sub(new.length);
        Ok(Done { freed, told: new.removed() })
    }

    fn burials(&self, name: SegmentName, ids: &[DeliveryId]) -> HashMap<DeliveryId, Burial> {
        let removed_at = SystemTime::now();
        let burial = |kept: Kept<'_>| {
            let place = kept.place.filter(|place| place.segment == name);
            (kept.id, Burial { outcome: kept.outcome(), removed_at, place })
        };
        self.read(|index| ids.iter().filter_map(|id| index.get(*id)).map(burial).collect())
    }

    fn take_place(
        &self,
        name: SegmentName,
        new: &Rewritten,
        dropped: &[DeliveryId],
    ) -> Result<(), Failure> {
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        let path = name.path(&self.dir, new.form);
        let renamed = self.medium.rename(&new.unfinished, &path);
        renamed.map_err(Failure::to("rename", &new.unfinished))?;
        for id in dropped {
            index.dropped(*id, name);
        }
        for (id, place) in new.deliveries() {
            index.moved(id, place);
        }
        Ok(())
    }

    fn write_index(&self, name: SegmentName, new: &Rewritten) -> Result<(), Failure> {
        let text = index_file::print(name, new.length, &new.records);
        replace::replace(&*self.medium, &self.dir, &name.index_path(&self.dir), text.as_bytes())
    }
}
