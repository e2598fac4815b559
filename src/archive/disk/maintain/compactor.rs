use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use tokio::{sync::oneshot, time::Instant};

use super::{
    forget::Ledger,
    indexing::Prepared,
    inventory::Inventory,
    policy::RetentionPolicy,
    rewrite::{Removal, Rewrite},
};
use crate::{
    archive::{
        ArchiveError, Query,
        disk::{
            archive::writer_stopped,
            format::{
                entry::Place,
                name::{SegmentName, SegmentState},
            },
            fs::{
                file_system::{Failure, FileSystem, Lock},
                lock, replace,
            },
            health::Condition,
            index::{DeliveryEntry, Found, Index, SharedIndex, each_found},
            read::listing::Listing,
            write::{
                command::{Command, Reply},
                queue::Queue,
            },
        },
        transition,
    },
    delivery::{DeliveryId, StateKind},
};

/// The number of deliveries per command to the writer: each retried delivery takes a record of about 350 bytes.
const AT_A_TIME: usize = 512;

/// The number of entries read from index files before the lock on the index is released.
const PINNED_AT_A_TIME: usize = 128;

/// Maintains the segments that are no longer written. Runs one task at a time, and waits for the writer only to have a
/// segment sealed or a command executed.
#[derive(Debug)]
pub(in crate::archive::disk) struct Compactor {
    pub(in crate::archive::disk) fs: Arc<dyn FileSystem>,
    pub(in crate::archive::disk) dir: PathBuf,
    pub(in crate::archive::disk) index: Arc<SharedIndex>,
    pub(in crate::archive::disk) queue: Arc<Queue>,
    pub(in crate::archive::disk) condition: Arc<Condition>,
    pub(in crate::archive::disk) policy: RetentionPolicy,
    pub(in crate::archive::disk) state: Mutex<CompactionState>,
}

/// The result of rewriting a segment.
#[derive(Debug, Default)]
pub(in crate::archive::disk) struct Done {
    /// The removed deliveries whose ledger entries it contains.
    pub(in crate::archive::disk) told: HashSet<DeliveryId>,
}

impl Compactor {
    /// Stops all further changes: the directory may soon belong to another archive.
    pub(in crate::archive::disk) fn close(&self) {
        self.lock().lock = None;
    }

    /// Returns the right to change segments; an error once the archive is closed, or its lock file was deleted.
    pub(in crate::archive::disk) fn turn(
        &self,
    ) -> Result<MutexGuard<'_, CompactionState>, ArchiveError> {
        let state = self.lock();
        let lock = state.lock.as_ref().ok_or(ArchiveError::Closed)?;
        lock::check(&*self.fs, &self.dir, lock)?;
        Ok(state)
    }

    fn lock(&self) -> MutexGuard<'_, CompactionState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes the deliveries that `query` selects. Returns their number. Concurrent removals are erased together.
    pub(in crate::archive::disk) fn remove(&self, query: &Query) -> Result<u64, ArchiveError> {
        let removed = self.mark_all_removed(query)?;
        self.finish_removals(&mut *self.turn()?)?;
        Ok(removed)
    }

    pub(in crate::archive::disk) fn mark_all_removed(
        &self,
        query: &Query,
    ) -> Result<u64, ArchiveError> {
        let mut removed = 0;
        self.for_each_part(query, |entries| {
            removed += self.mark_removed(entries, query)?;
            Ok(())
        })?;
        if removed > 0 {
            tracing::info!(path = %self.dir.display(), removed, ?query, "removed deliveries");
        }
        Ok(removed)
    }

    /// Has the writer mark as removed those of these deliveries that `query` selects. Returns their number.
    pub(in crate::archive::disk) fn mark_removed(
        &self,
        entries: &[DeliveryEntry],
        query: &Query,
    ) -> Result<u64, ArchiveError> {
        let mut removed = 0;
        for some in entries.chunks(AT_A_TIME) {
            let query = query.clone();
            let ids =
                self.command_about(some, |ids, reply| Command::Remove { ids, query, reply })?;
            removed += ids.len() as u64;
        }
        Ok(removed)
    }

    /// Resets the dead, undecodable and failed deliveries that `query` selects to pending. Returns their number.
    pub(in crate::archive::disk) fn retry(
        &self,
        query: &Query,
        now: Instant,
    ) -> Result<u64, ArchiveError> {
        let mut retried = 0;
        for kind in [StateKind::Failed, StateKind::Dead, StateKind::Undecodable] {
            if !query.selected_states().selects(kind) {
                continue;
            }
            let of_kind = query.clone().state(kind);
            self.for_each_part(&of_kind, |entries| {
                let is_due = |entry: &&DeliveryEntry| transition::retries(&entry.known());
                let due: Vec<_> = entries.iter().filter(is_due).cloned().collect();
                let query = of_kind.clone();
                // Waits for each batch, so that commands appended in the meantime go to the next one.
                let retry = |ids, reply| Command::Retry { ids, query, now, reply };
                retried += self.command_about(&due, retry)?;
                Ok(())
            })?;
        }
        Ok(retried)
    }

    /// Runs a command about deliveries whose entries are kept in memory meanwhile, so that the writer need not wait for
    /// the disk.
    fn command_about<T>(
        &self,
        entries: &[DeliveryEntry],
        command: impl FnOnce(Vec<DeliveryId>, Reply<T>) -> Command,
    ) -> Result<T, ArchiveError> {
        let ids = entries.iter().map(|entry| entry.id).collect();
        let positions: Vec<_> = entries.iter().map(|entry| entry.position).collect();
        for some in positions.chunks(PINNED_AT_A_TIME) {
            self.change(|index| index.pin(some))?;
        }
        let answer = self.command(|reply| command(ids, reply));
        self.change(|index| index.unpin(&positions));
        answer
    }

    /// Queues a command for the writer, and waits for its result.
    fn command<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, ArchiveError> {
        let (reply, answer) = oneshot::channel();
        self.queue.push(command(reply))?;
        answer.blocking_recv().unwrap_or_else(|_| Err(writer_stopped()))
    }

    /// Erases the bytes of removed deliveries, including those of interrupted removals and those that reappeared after
    /// a power failure.
    pub(in crate::archive::disk) fn finish_removals(
        &self,
        state: &mut CompactionState,
    ) -> Result<(), ArchiveError> {
        self.finish(state)?;
        self.erase(self.read(Index::removals_to_finish)?, state)
    }

    /// Makes renamed files durable, and removes the files that they supersede.
    pub(in crate::archive::disk) fn finish(
        &self,
        state: &mut CompactionState,
    ) -> Result<(), Failure> {
        let (fs, dir) = (&*self.fs, &*self.dir);
        if state.unsynced {
            fs.sync_dir(dir).map_err(Failure::to("sync", dir))?;
            state.unsynced = false;
        }
        while let Some(path) = state.leftovers.first() {
            replace::remove(fs, dir, path)?;
            state.leftovers.pop_first();
        }
        Ok(())
    }

    /// Erases these deliveries, leaving only their ledger entries.
    fn erase(
        &self,
        deliveries: HashMap<DeliveryId, Vec<Place>>,
        state: &mut CompactionState,
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
        if removals.keys().any(|name| segments.get(name) == Some(&SegmentState::Active)) {
            self.seal()?;
            segments = self.segments()?;
        }
        let mut told = HashSet::new();
        for (name, places) in removals {
            let Some(segment_state) = segments.get(&name) else {
                self.note_erased(places.keys().copied(), name)?;
                continue;
            };
            let to = (*segment_state).max(SegmentState::Sealed);
            told.extend(self.rewrite(name, *segment_state, to, &places, state)?.told);
            self.forget_without_ledger_entry(places.keys(), &told)?;
        }
        Ok(())
    }

    /// Drops deliveries without a ledger entry from the index. If the record of a delivery was damaged, its ledger
    /// entry may be unknown, and the next start could not restore it.
    fn forget_without_ledger_entry<'i>(
        &self,
        ids: impl Iterator<Item = &'i DeliveryId>,
        told: &HashSet<DeliveryId>,
    ) -> Result<(), Failure> {
        let missing: Vec<_> = ids.copied().filter(|id| !told.contains(id)).collect();
        if !missing.is_empty() {
            self.change(|index| index.forget(missing))?;
        }
        Ok(())
    }

    /// Records that only the ledger entries of these deliveries are left in this segment.
    fn note_erased(
        &self,
        ids: impl Iterator<Item = DeliveryId>,
        name: SegmentName,
    ) -> Result<(), Failure> {
        let ids: Vec<_> = ids.collect();
        for some in ids.chunks(PINNED_AT_A_TIME) {
            self.change(|index| index.note_erased(some.iter().copied(), name))?;
        }
        Ok(())
    }

    /// Has the writer seal the active segment.
    pub(in crate::archive::disk) fn seal(&self) -> Result<(), ArchiveError> {
        self.command(Command::Seal)
    }

    pub(in crate::archive::disk) fn segments(
        &self,
    ) -> Result<BTreeMap<SegmentName, SegmentState>, Failure> {
        Ok(Listing::of_dir(&*self.fs, &self.dir)?.segments)
    }

    pub(in crate::archive::disk) fn read<T>(&self, what: impl FnOnce(&Index) -> T) -> T {
        self.index.read(what)
    }

    /// Calls `each` with batches of the deliveries with a body that `query` selects.
    fn for_each_part(
        &self,
        query: &Query,
        mut each: impl FnMut(&[DeliveryEntry]) -> Result<(), ArchiveError>,
    ) -> Result<(), ArchiveError> {
        let mut entries = Vec::new();
        for one in each_found(|from| self.read(|index| index.part(query, from))) {
            if let Found::Entry(entry) = one? {
                entries.push(entry);
            }
            if entries.len() == AT_A_TIME {
                each(&entries)?;
                entries.clear();
            }
        }
        if entries.is_empty() { Ok(()) } else { each(&entries) }
    }

    /// Marks the deliveries that `query` selects in a segment as removed. Returns their number.
    pub(in crate::archive::disk) fn mark_removed_in(
        &self,
        name: SegmentName,
        query: &Query,
    ) -> Result<u64, ArchiveError> {
        let (mut removed, mut next) = (0, Some(0));
        while let Some(from) = next {
            let (entries, after) = self.read(|index| index.part_of_segment(name, query, from))?;
            removed += self.mark_removed(&entries, query)?;
            next = after;
        }
        Ok(removed)
    }

    /// Rewrites a segment without these deliveries.
    ///
    /// The new file is complete and durable before it replaces the old one. Readers wait only for the rename.
    pub(in crate::archive::disk) fn rewrite(
        &self,
        name: SegmentName,
        from: SegmentState,
        to: SegmentState,
        erased: &HashMap<DeliveryId, Place>,
        state: &mut CompactionState,
    ) -> Result<Done, Failure> {
        self.rewrite_or_clean_up(name, (from, to), (erased, &HashSet::new()), state)
    }

    /// Rewrites a segment without the records that begin at these offsets.
    pub(in crate::archive::disk) fn rewrite_without(
        &self,
        name: SegmentName,
        segment_state: SegmentState,
        skip: &HashSet<u64>,
        state: &mut CompactionState,
    ) -> Result<(), Failure> {
        self.rewrite_or_clean_up(
            name,
            (segment_state, segment_state),
            (&HashMap::new(), skip),
            state,
        )
        .map(drop)
    }

    fn rewrite_or_clean_up(
        &self,
        name: SegmentName,
        (from, to): (SegmentState, SegmentState),
        without: (&HashMap<DeliveryId, Place>, &HashSet<u64>),
        state: &mut CompactionState,
    ) -> Result<Done, Failure> {
        let result = self.try_rewrite(name, (from, to), without, state);
        result.inspect_err(|_| {
            let files = [name.path(&self.dir, to), name.index_path(&self.dir)];
            state.leftovers.extend(files.iter().filter_map(|it| replace::abandon(&*self.fs, it)));
            self.change(|index| index.flush_failed(name));
        })
    }

    fn try_rewrite(
        &self,
        name: SegmentName,
        (from, to): (SegmentState, SegmentState),
        (erased, skip): (&HashMap<DeliveryId, Place>, &HashSet<u64>),
        state: &mut CompactionState,
    ) -> Result<Done, Failure> {
        let (fs, dir) = (&*self.fs, &*self.dir);
        // A ledger entry counts as written only once its segment is durable under its name.
        self.finish(state)?;
        let drop = self.removals(erased)?;
        let not_erased = |ids| self.not_erased(ids);
        let rewrite =
            Rewrite { fs, dir, name, from, to, drop: &drop, skip, not_erased: &not_erased };
        let new = rewrite.run()?;
        let is_damaged = !new.damages.is_empty();
        if is_damaged && from != to && to == SegmentState::Compressed {
            // Other tools can read neither damaged bytes between compressed records nor the records after them.
            self.note_damaged(name, from, state);
            replace::remove(fs, dir, &new.unfinished)?;
            return Ok(Done::default());
        }
        let done = Done { told: new.removed() };
        let moved = new.moved(erased.keys().copied().collect());
        let prepared = self.prepare_index(name, &moved)?;
        // An index file for the old form must not exist next to the new segment.
        self.change(|index| index.pin_file(name))?;
        replace::remove(fs, dir, &name.index_path(dir))?;
        let Prepared { unfinished, path, file, foreign } = prepared;
        self.change(|index| {
            let segment = name.path(dir, to);
            fs.rename(&new.unfinished, &segment).map_err(Failure::to("rename", &new.unfinished))?;
            index.install(name, file);
            index.moved(name, moved.length, &moved.spans, moved.damages);
            Ok(())
        })?;
        state.unsynced = true;
        state.leftovers.extend((from != to).then(|| name.path(dir, from)));
        self.note_erased(erased.keys().copied(), name)?;
        self.finish(state)?;
        if is_damaged {
            self.note_damaged(name, to, state);
        } else {
            state.damaged.remove(&name);
        }
        // Only after the segment that it describes is durable under its name.
        fs.rename(&unfinished, &path).map_err(Failure::to("rename", &unfinished))?;
        self.change(|index| index.file_renamed(name, &path));
        fs.sync_dir(dir).map_err(Failure::to("sync", dir))?;
        self.finish_flush(name, &foreign);
        Ok(done)
    }

    /// Records that a part of the segment is damaged. The damaged bytes are kept during every removal, and the segment
    /// is neither compressed nor dropped. Logged once per segment.
    pub(in crate::archive::disk) fn note_damaged(
        &self,
        name: SegmentName,
        segment_state: SegmentState,
        state: &mut CompactionState,
    ) {
        if state.damaged.insert(name) {
            self.condition.note_damaged_segment(name);
            tracing::warn!(
                path = %name.path(&self.dir, segment_state).display(),
                "a segment is damaged: its damaged bytes are kept, and it is not compressed; see 'inbox verify'"
            );
        }
    }

    /// Returns those of these removed deliveries that have more left than a ledger entry in their own segment, or that
    /// are not in the index.
    fn not_erased(&self, mut ids: Vec<DeliveryId>) -> Result<Vec<DeliveryId>, Failure> {
        ids.sort_unstable();
        ids.dedup();
        for name in self.read(Index::segment_names) {
            let mut erased = HashSet::new();
            for some in ids.chunks(AT_A_TIME) {
                erased.extend(self.read(|index| index.erased_in(name, some))?);
            }
            ids.retain(|id| !erased.contains(id));
        }
        Ok(ids)
    }

    fn removals(
        &self,
        erased: &HashMap<DeliveryId, Place>,
    ) -> Result<HashMap<DeliveryId, Removal>, Failure> {
        let removed_at = SystemTime::now();
        let mut removals = HashMap::new();
        let erased: Vec<_> = erased.iter().collect();
        for some in erased.chunks(PINNED_AT_A_TIME) {
            self.read(|index| {
                for (id, place) in some {
                    if let Some((meta, state)) = index.meta(**id)? {
                        removals.insert(**id, Removal { meta, state, removed_at, place: **place });
                    }
                }
                Ok::<_, Failure>(())
            })?;
        }
        Ok(removals)
    }
}

/// The state of maintenance. Locked while a segment is changed.
#[derive(Debug)]
pub(in crate::archive::disk) struct CompactionState {
    /// Excludes other writers while segments are changed, even if the writer has died. `None` once the archive is
    /// closed.
    pub(in crate::archive::disk) lock: Option<Lock>,
    /// Segments that are partly damaged. They are left as they are until their deliveries are removed.
    pub(in crate::archive::disk) damaged: HashSet<SegmentName>,
    /// Facts about segments that contain only ledger entries.
    pub(in crate::archive::disk) ledgers: HashMap<SegmentName, Ledger>,
    /// Whether a power failure could bring back the old file of a rewritten segment.
    pub(in crate::archive::disk) unsynced: bool,
    /// Files that may contain removed deliveries, and could not be deleted.
    pub(in crate::archive::disk) leftovers: BTreeSet<PathBuf>,
    /// Requests from other processes that could not be read, executed or answered. Each is logged once.
    pub(in crate::archive::disk) failed_requests: BTreeSet<PathBuf>,
    /// The segments that should exist.
    pub(in crate::archive::disk) inventory: Inventory,
}

impl CompactionState {
    pub(in crate::archive::disk) fn new(lock: Lock, inventory: Inventory) -> Self {
        Self {
            lock: Some(lock),
            damaged: HashSet::new(),
            ledgers: HashMap::new(),
            unsynced: false,
            leftovers: BTreeSet::new(),
            failed_requests: BTreeSet::new(),
            inventory,
        }
    }
}
