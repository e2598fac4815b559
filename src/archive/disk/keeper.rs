use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ops::Range,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    thread,
    time::SystemTime,
};

use tokio::{sync::oneshot, time::Instant};

use super::{
    archive::writer_stopped,
    command::{Command, Reply},
    entry::Place,
    failure::Failure,
    health::Condition,
    index::{Index, Survey},
    index_file,
    listing::Listing,
    lock,
    medium::Medium,
    name::{Form, SegmentName},
    queue::Queue,
    replace,
    rewrite::{Removal, Rewrite, Rewritten},
    state::State,
    terms::Terms,
};
use crate::{
    archive::{ArchiveError, Query, transition},
    delivery::DeliveryId,
};

/// How many deliveries are looked at before others get at the index.
const AT_A_TIME: usize = 4096;

/// How many deliveries are retried in one batch of the writer: each takes a record of some 350 bytes.
const RETRIED_AT_A_TIME: usize = 512;

/// Looks after the segments to which nothing is written any more. Does one thing at a time, and never waits for the
/// writer but to have a segment sealed.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) medium: Arc<dyn Medium>,
    pub(super) dir: PathBuf,
    pub(super) index: Arc<RwLock<Index>>,
    pub(super) queue: Arc<Queue>,
    pub(super) condition: Arc<Condition>,
    pub(super) terms: Terms,
    pub(super) state: Mutex<State>,
}

/// What came of writing a segment anew.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// The removed deliveries of which it holds the line in the ledger.
    pub(super) told: HashSet<DeliveryId>,
}

impl Keeper {
    /// Changes nothing from now on: the directory may soon be another's.
    pub(super) fn close(&self) {
        self.lock().lock = None;
    }

    /// The right to change segments; an error once the archive is closed, or its lock file was deleted.
    pub(super) fn turn(&self) -> Result<MutexGuard<'_, State>, ArchiveError> {
        let state = self.lock();
        let lock = state.lock.as_ref().ok_or(ArchiveError::Closed)?;
        lock::check(&*self.medium, &self.dir, lock)?;
        Ok(state)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes what `query` selects. Returns how many deliveries. Removals at the same time are erased together.
    pub(super) fn remove(&self, query: &Query) -> Result<u64, ArchiveError> {
        let removed = self.give_up_all(query)?;
        self.finish_removals(&mut *self.turn()?)?;
        Ok(removed)
    }

    pub(super) fn give_up_all(&self, query: &Query) -> Result<u64, ArchiveError> {
        let mut removed = 0;
        for part in self.parts(query) {
            let select =
                |index: &Index| index.selected(part, query).map(|entry| entry.id).collect();
            removed += self.give_up(self.read(select), query)?;
        }
        if removed > 0 {
            tracing::info!(path = %self.dir.display(), removed, ?query, "removed deliveries");
        }
        Ok(removed)
    }

    /// Has the writer decide which of these deliveries `query` selects, and give them up. Returns how many.
    pub(super) fn give_up(&self, ids: Vec<DeliveryId>, query: &Query) -> Result<u64, ArchiveError> {
        if ids.is_empty() {
            return Ok(0);
        }
        let removed = self.command(|reply| Command::Remove { ids, query: query.clone(), reply })?;
        Ok(removed.len() as u64)
    }

    /// Makes pending what `query` selects of the dead, undecodable and failed deliveries. Returns how many.
    pub(super) fn retry(&self, query: &Query, now: Instant) -> Result<u64, ArchiveError> {
        let mut retried = 0;
        for part in self.parts(query) {
            let select = |index: &Index| {
                let selected = index.selected(part, query);
                let selected = selected.filter(|entry| transition::retries(&entry.known()));
                selected.map(|entry| entry.id).collect::<Vec<_>>()
            };
            // Waits for each batch, so that what was appended in the meantime goes to the next one.
            for ids in self.read(select).chunks(RETRIED_AT_A_TIME) {
                let (ids, query) = (ids.to_vec(), query.clone());
                retried += self.command(|reply| Command::Retry { ids, query, now, reply })?;
            }
        }
        Ok(retried)
    }

    /// Has the writer execute a command, and waits for it.
    fn command<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, ArchiveError> {
        let (reply, answer) = oneshot::channel();
        self.queue.push(command(reply))?;
        answer.blocking_recv().unwrap_or_else(|_| Err(writer_stopped()))
    }

    /// Erases the bytes of deliveries that were removed, also where that was interrupted, or came back with a power failure.
    pub(super) fn finish_removals(&self, state: &mut State) -> Result<(), ArchiveError> {
        self.finish(state)?;
        self.erase(self.read(Index::left_over), state)
    }

    /// Makes durable what was renamed, and removes what may not stay beside it.
    pub(super) fn finish(&self, state: &mut State) -> Result<(), Failure> {
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

    /// Leaves nothing of these deliveries but their ledger entries.
    fn erase(
        &self,
        deliveries: HashMap<DeliveryId, Vec<Place>>,
        state: &mut State,
    ) -> Result<(), ArchiveError> {
        let mut removals: BTreeMap<SegmentName, HashMap<DeliveryId, Place>> = BTreeMap::new();
        for (id, places) in deliveries {
            for place in places {
                removals.entry(place.segment).or_default().insert(id, place);
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
        for (name, places) in removals {
            let Some(form) = segments.get(&name) else {
                let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
                for id in places.keys() {
                    index.dropped(*id, name);
                }
                continue;
            };
            let to = (*form).max(Form::Sealed);
            told.extend(self.rewrite(name, *form, to, &places, state)?.told);
            self.forget_untold(places.keys(), &told);
        }
        Ok(())
    }

    /// The ledger entry of a delivery whose record was damaged may not be known. The next start will know nothing of it,
    /// and so nothing is known of it from now on.
    fn forget_untold<'i>(
        &self,
        ids: impl Iterator<Item = &'i DeliveryId>,
        told: &HashSet<DeliveryId>,
    ) {
        let untold: Vec<_> = ids.copied().filter(|id| !told.contains(id)).collect();
        if !untold.is_empty() {
            let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
            index.forget(untold);
        }
    }

    /// Has the writer seal what it is writing.
    pub(super) fn seal(&self) -> Result<(), ArchiveError> {
        self.command(Command::Seal)
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
        for part in self.parts(&Query::all()) {
            self.read(|index| index.survey(part, &mut survey));
        }
        survey
    }

    /// The positions at which deliveries can lie that `query` selects, so many at a time that nobody waits long.
    fn parts(&self, query: &Query) -> impl Iterator<Item = Range<usize>> + use<> {
        let positions = self.read(|index| index.candidates(query));
        let end = positions.end;
        positions.step_by(AT_A_TIME).map(move |from| from..end.min(from + AT_A_TIME))
    }

    /// The deliveries with a body in this segment that `query` selects.
    pub(super) fn selected_in(&self, name: SegmentName, query: &Query) -> Vec<DeliveryId> {
        let select = |part| self.read(|index| index.selected_in(name, part, query));
        self.parts(query).flat_map(select).collect()
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
        erased: &HashMap<DeliveryId, Place>,
        state: &mut State,
    ) -> Result<Done, Failure> {
        self.rewrite_or_give_up(name, (from, to), (erased, &HashSet::new()), state)
    }

    /// Writes a segment anew, without the records that begin at these offsets.
    pub(super) fn rewrite_without(
        &self,
        name: SegmentName,
        form: Form,
        skip: &HashSet<u64>,
        state: &mut State,
    ) -> Result<(), Failure> {
        self.rewrite_or_give_up(name, (form, form), (&HashMap::new(), skip), state).map(drop)
    }

    fn rewrite_or_give_up(
        &self,
        name: SegmentName,
        (from, to): (Form, Form),
        without: (&HashMap<DeliveryId, Place>, &HashSet<u64>),
        state: &mut State,
    ) -> Result<Done, Failure> {
        let result = self.try_rewrite(name, (from, to), without, state);
        result.inspect_err(|_| {
            state.leftovers.extend(replace::give_up(&*self.medium, &name.path(&self.dir, to)));
        })
    }

    fn try_rewrite(
        &self,
        name: SegmentName,
        (from, to): (Form, Form),
        (erased, skip): (&HashMap<DeliveryId, Place>, &HashSet<u64>),
        state: &mut State,
    ) -> Result<Done, Failure> {
        let (medium, dir) = (&*self.medium, &*self.dir);
        let drop = self.removals(erased);
        let new = Rewrite { medium, dir, name, from, to, drop: &drop, skip }.run()?;
        if new.damaged && from != to && to == Form::Packed {
            // Other tools can read neither damaged bytes among compressed records nor behind them.
            self.note_damaged(name, from, state);
            replace::remove(medium, dir, &new.unfinished)?;
            return Ok(Done::default());
        }
        // An index file of the old form must not be there with the new one.
        state.indexed.remove(&name);
        replace::remove(medium, dir, &name.index_path(dir))?;
        self.take_place(name, &new, erased)?;
        state.unsynced = true;
        state.leftovers.extend((from != to).then(|| name.path(dir, from)));
        self.finish(state)?;
        if new.damaged {
            self.note_damaged(name, to, state);
        } else {
            state.damaged.remove(&name);
            self.write_index(name, &new)?;
            state.indexed.insert(name);
        }
        Ok(Done { told: new.removed() })
    }

    /// A part of the segment is damaged. Those bytes are kept, whatever is removed around them, and the segment is neither
    /// compressed nor dropped. Logged once for each segment.
    pub(super) fn note_damaged(&self, name: SegmentName, form: Form, state: &mut State) {
        if state.damaged.insert(name) {
            self.condition.note_damaged_segment(name);
            tracing::warn!(
                path = %name.path(&self.dir, form).display(),
                "a segment is damaged: its damaged bytes are kept, and it is not compressed; see 'inbox verify'"
            );
        }
    }

    fn removals(&self, erased: &HashMap<DeliveryId, Place>) -> HashMap<DeliveryId, Removal> {
        let removed_at = SystemTime::now();
        let removal = |index: &Index, id: DeliveryId, place| {
            let state = index.get(id)?.state();
            Some((id, Removal { state, removed_at, place }))
        };
        let all = |index: &Index| {
            erased.iter().filter_map(|(id, place)| removal(index, *id, *place)).collect()
        };
        self.read(all)
    }

    fn take_place(
        &self,
        name: SegmentName,
        new: &Rewritten,
        erased: &HashMap<DeliveryId, Place>,
    ) -> Result<(), Failure> {
        let path = name.path(&self.dir, new.form);
        let deliveries: Vec<_> = new.deliveries().collect();
        let parts = deliveries.chunks(AT_A_TIME);
        let positions = parts.map(|part| self.read(|index| index.positions_of(part)));
        let positions = positions.collect::<Vec<_>>().concat();
        self.change(|index| {
            let renamed = self.medium.rename(&new.unfinished, &path);
            renamed.map_err(Failure::to("rename", &new.unfinished))?;
            index.moved(name, &positions);
            Ok(())
        })?;
        // Only maintenance looks at copies.
        let erased: Vec<_> = erased.keys().copied().collect();
        for part in erased.chunks(AT_A_TIME) {
            self.change(|index| part.iter().for_each(|id| index.dropped(*id, name)));
        }
        for part in deliveries.chunks(AT_A_TIME) {
            self.change(|index| index.copies_moved(part));
        }
        Ok(())
    }

    /// Changes the index, and then lets others get at it.
    fn change<T>(&self, what: impl FnOnce(&mut Index) -> T) -> T {
        let changed = what(&mut self.index.write().unwrap_or_else(PoisonError::into_inner));
        thread::yield_now();
        changed
    }

    fn write_index(&self, name: SegmentName, new: &Rewritten) -> Result<(), Failure> {
        let text = index_file::print(name, new.length, &new.records);
        replace::replace(&*self.medium, &self.dir, &name.index_path(&self.dir), text.as_bytes())
    }
}
