use std::{
    collections::{HashMap, VecDeque},
    fmt,
    future::ready,
    slice,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use super::{
    Acquire, Acquired, Append, Appended, Archive, ArchiveError, ArchiveHealth, Archived, Begun,
    Claim, Claimed, Counts, Entries, Lease, LeaseToken, LedgerEntry, MAX_HISTORY, Query, Release,
    StateChange, Work, WriteState,
    transition::{self, Known, Repeat},
    unsettled::{FlightEntry, Selection, Unsettled, later},
};
use crate::delivery::{
    Delivery, DeliveryId, Fingerprint, InferenceDigest, InferenceId, ModelName, Outcome, State,
};

/// Stores deliveries in memory: **nothing survives the process**. For tests, and as a baseline for the cost of disk
/// I/O.
///
/// Several inboxes over clones of one archive behave like several nodes over a shared archive: leases expire 60 s after
/// the last renewal. Memory use is unbounded: the archive keeps every delivery until it is removed, and ledger entries
/// indefinitely.
///
/// ```
/// use tower_inbox::archive::{Archive, MemoryArchive};
///
/// let archive = MemoryArchive::new();
/// assert_eq!(archive.to_string(), "memory (lost when the process ends)");
/// ```
#[derive(Clone, Default)]
pub struct MemoryArchive(Arc<Mutex<Store>>);

#[derive(Default)]
struct Store {
    entries: Vec<Entry>,
    positions: HashMap<DeliveryId, usize>,
    /// The delivery that repeats are compared with, by fingerprint.
    firsts: HashMap<Fingerprint, DeliveryId>,
    /// The deliveries that were processed as each inference, in append order.
    processed: HashMap<InferenceId, Vec<usize>>,
    unsettled: Unsettled,
    counts: Counts,
}

struct Entry {
    id: DeliveryId,
    model: ModelName,
    received_at: SystemTime,
    /// `None` after removal.
    delivery: Option<Delivery>,
    state: State,
    history: VecDeque<StateChange>,
}

impl Entry {
    fn known(&self) -> Known {
        Known { state: self.state.clone(), has_body: self.delivery.is_some() }
    }

    fn archived(&self) -> Option<Archived> {
        Some(Archived::new(self.delivery.clone()?, self.state.clone()))
    }

    fn line(&self) -> LedgerEntry {
        LedgerEntry::new(self.id, self.model.clone(), self.received_at, self.state.clone())
    }

    fn is_selected(&self, query: &Query) -> bool {
        self.delivery.is_some()
            && query.selects_meta(self.id, &self.model, self.received_at)
            && query.selects_state(&self.state)
    }
}

impl MemoryArchive {
    /// Creates an empty archive. Clones share its contents.
    pub fn new() -> Self {
        Self::default()
    }

    /// Locks the store and reclaims expired leases.
    fn store(&self) -> MutexGuard<'_, Store> {
        let mut store = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        store.expire(Instant::now());
        store
    }
}

impl Store {
    fn entry(&self, id: DeliveryId) -> Option<&Entry> {
        self.entries.get(*self.positions.get(&id)?)
    }

    fn known(&self, id: DeliveryId) -> Result<Known, ArchiveError> {
        self.entry(id).map(Entry::known).ok_or(ArchiveError::Unknown { id })
    }

    /// Sets the state of a delivery and updates the counts.
    fn set(&mut self, id: DeliveryId, state: State) {
        let Some(position) = self.positions.get(&id).copied() else { return };
        let Some(entry) = self.entries.get_mut(position) else { return };
        if entry.delivery.is_some() {
            self.counts.subtract(&entry.model, entry.state.kind(), 1);
            self.counts.add(&entry.model, state.kind(), 1);
        }
        if let State::Outcome(Outcome::Processed { inference: Some(inference), .. }) = &state {
            let processed = self.processed.entry(inference.id()).or_default();
            if let Err(place) = processed.binary_search(&position) {
                processed.insert(place, position);
            }
        }
        // The state after the append is no change.
        if entry.state == state {
            return;
        }
        if entry.history.len() == MAX_HISTORY {
            entry.history.pop_front();
        }
        entry.history.push_back(StateChange::new(SystemTime::now(), state.clone()));
        entry.state = state;
    }

    /// Sets a state other than leased, and queues the delivery if it still has to be processed.
    fn put_back(&mut self, id: DeliveryId, state: State, due: Instant) {
        let suspect = state.crashes() > 0;
        let is_due = !state.is_settled();
        self.set(id, state);
        let queued = self.entry(id).filter(|entry| is_due && entry.delivery.is_some());
        match queued.map(|entry| entry.model.clone()) {
            Some(model) => self.unsettled.queue(id, &model, due, suspect),
            None => self.unsettled.remove(id),
        }
    }

    fn put_leased(&mut self, id: DeliveryId, state: State, until: Instant) -> Option<Lease> {
        let model = self.entry(id)?.model.clone();
        let token = LeaseToken::new();
        let lease = Lease::new(id, token, state.attempts(), state.crashes());
        self.set(id, state);
        self.unsettled.lease(id, &model, token, Some(until));
        Some(lease)
    }

    fn expire(&mut self, now: Instant) {
        for id in self.unsettled.expired(now) {
            if let Some(state) = self.entry(id).map(|entry| entry.state.crashed()) {
                self.put_back(id, state, now);
            }
        }
    }

    fn append(&mut self, append: &Append, now: Instant) -> Result<Appended, ArchiveError> {
        let fingerprint = append.delivery().fingerprint();
        let first = self.firsts.get(&fingerprint).copied();
        let until = append.lease_length().map(|length| later(now, length));
        if let Some((first, known)) = first.and_then(|id| Some((id, self.known(id).ok()?))) {
            let lease = match transition::repeat(&known, until.is_some()) {
                Repeat::Store => return self.store_new(append, until, now),
                Repeat::Unchanged => None,
                Repeat::Revive => {
                    self.put_back(first, State::NEW, now);
                    None
                }
                Repeat::Lease(state) => {
                    until.and_then(|until| self.put_leased(first, state, until))
                }
            };
            return Ok(append.repeats(first, self.known(first)?.state, lease));
        }
        self.store_new(append, until, now)
    }

    fn store_new(
        &mut self,
        append: &Append,
        until: Option<Instant>,
        now: Instant,
    ) -> Result<Appended, ArchiveError> {
        let delivery = append.delivery().clone();
        let (id, model) = (delivery.id(), delivery.model().clone());
        if self.positions.contains_key(&id) {
            return Err(ArchiveError::Other(format!("another delivery has the id {id}").into()));
        }
        self.firsts.insert(delivery.fingerprint(), id);
        self.positions.insert(id, self.entries.len());
        let state = if until.is_some() { State::NEW.leased() } else { State::NEW };
        self.counts.add(&model, state.kind(), 1);
        let received_at = delivery.received_at();
        let (delivery, history) = (Some(delivery), VecDeque::new());
        let first = state.clone();
        self.entries.push(Entry { id, model, received_at, delivery, state, history });
        let lease = if let Some(until) = until {
            self.put_leased(id, first, until)
        } else {
            self.put_back(id, first, now);
            None
        };
        Ok(append.stored(lease))
    }

    fn claim(&mut self, claim: &Claim, now: Instant) -> Claimed {
        let Selection { ids, next_due } = self.unsettled.select(claim, now, |_| false);
        let until = later(now, claim.lease_length);
        let mut leases = Vec::new();
        for id in ids {
            let Some((model, state)) =
                self.entry(id).map(|entry| (entry.model.clone(), entry.state.leased()))
            else {
                continue;
            };
            leases.extend(self.put_leased(id, state, until).map(|lease| (model, lease)));
        }
        Claimed::new(leases, next_due)
    }

    fn acquire(&mut self, acquire: &Acquire, now: Instant) -> Result<Acquired, ArchiveError> {
        let known = self.known(acquire.id)?;
        let lease = transition::acquire(&known, acquire.revive)
            .and_then(|state| self.put_leased(acquire.id, state, later(now, acquire.lease_length)));
        Ok(Acquired::new(self.known(acquire.id)?.state, lease))
    }

    fn holds(&self, lease: &Lease) -> bool {
        self.unsettled.token(lease.id()) == Some(lease.token())
    }

    fn settle(
        &mut self,
        lease: &Lease,
        outcome: Outcome,
        retry_at: Instant,
    ) -> Result<(), ArchiveError> {
        let id = lease.id();
        let known = self.known(id)?;
        if !transition::settles(&known.state, self.holds(lease), &outcome) {
            return Err(ArchiveError::LeaseLost { id });
        }
        self.put_back(id, outcome.into(), retry_at);
        Ok(())
    }

    fn release(
        &mut self,
        lease: &Lease,
        release: Release,
        now: Instant,
    ) -> Result<(), ArchiveError> {
        let id = lease.id();
        let known = self.known(id)?;
        if !self.holds(lease) {
            return Err(ArchiveError::LeaseLost { id });
        }
        let state = known.state.released();
        let suspect = state.crashes() > 0;
        match release {
            Release::After(wait) => self.put_back(id, state, later(now, wait)),
            Release::WhenFree(inference) => {
                self.put_back(id, state, now);
                if let Some(model) =
                    self.entry(id).filter(|_| known.has_body).map(|entry| entry.model.clone())
                {
                    self.unsettled.block(id, &model, inference, now, suspect);
                }
            }
        }
        Ok(())
    }

    fn begin(&mut self, lease: &Lease, inference: InferenceDigest) -> Result<Begun, ArchiveError> {
        let id = lease.id();
        match self.unsettled.begin(id, lease.token(), inference.id()) {
            FlightEntry::Lost => return Err(ArchiveError::LeaseLost { id }),
            FlightEntry::Busy => return Ok(Begun::Busy),
            FlightEntry::Entered => {}
        }
        let processed = self.processed.get(&inference.id()).into_iter().flatten();
        let earlier = processed.rev().filter_map(|position| self.entries.get(*position));
        let earlier = earlier.filter(|entry| entry.id != id);
        Ok(begun(inference, earlier.map(|entry| (entry.id, &entry.state))))
    }

    fn selected(&self, query: &Query) -> impl Iterator<Item = &Entry> {
        let entries = match query.selected_ids() {
            Some([id]) => self.entry(*id).map_or(&[][..], slice::from_ref),
            _ => &self.entries,
        };
        entries.iter().filter(move |entry| entry.is_selected(query))
    }

    fn retry(&mut self, query: &Query, now: Instant) -> u64 {
        let retried = self.selected(query).filter(|entry| transition::retries(&entry.known()));
        let ids: Vec<_> = retried.map(|entry| entry.id).collect();
        for id in &ids {
            self.put_back(*id, State::NEW, now);
        }
        ids.len() as u64
    }

    fn remove(&mut self, query: &Query) -> u64 {
        let ids: Vec<_> = self.selected(query).map(|entry| entry.id).collect();
        for id in &ids {
            let Some(position) = self.positions.get(id).copied() else { continue };
            let Some(entry) = self.entries.get_mut(position) else { continue };
            entry.delivery = None;
            self.counts.subtract(&entry.model, entry.state.kind(), 1);
            if self.unsettled.token(*id).is_none() {
                self.unsettled.remove(*id);
            }
        }
        ids.len() as u64
    }

    fn counts(&self) -> Counts {
        let mut counts = self.counts.clone();
        let oldest = self.unsettled.oldest().and_then(|id| self.entry(id));
        counts.set_oldest_unsettled(oldest.map(|entry| entry.received_at));
        counts
    }
}

/// Compares an inference with the processed inferences of the same id, latest delivery first.
pub(super) fn begun<'s>(
    inference: InferenceDigest,
    earlier: impl Iterator<Item = (DeliveryId, &'s State)>,
) -> Begun {
    let mut other_bytes = None;
    for (id, state) in earlier {
        let State::Outcome(Outcome::Processed { status, inference: Some(known) }) = state else {
            continue;
        };
        if *known == inference {
            return Begun::Processed { of: id, status: *status };
        }
        if known.is_same_version(&inference) {
            other_bytes.get_or_insert(id);
        }
    }
    Begun::Started { earlier: other_bytes }
}

fn done<T: Send + 'static>(result: Result<T, ArchiveError>) -> Work<T> {
    Box::pin(ready(result))
}

impl Archive for MemoryArchive {
    fn append(&self, append: Append) -> Work<Appended> {
        done(self.store().append(&append, Instant::now()))
    }

    fn claim(&self, claim: Claim) -> Work<Claimed> {
        done(Ok(self.store().claim(&claim, Instant::now())))
    }

    fn acquire(&self, acquire: Acquire) -> Work<Acquired> {
        done(self.store().acquire(&acquire, Instant::now()))
    }

    fn renew(&self, leases: Vec<Lease>, length: Duration) -> Work<Vec<DeliveryId>> {
        let (mut store, until) = (self.store(), later(Instant::now(), length));
        let mut renewed = |lease: &Lease| store.unsettled.renew(lease.id(), lease.token(), until);
        let lost = leases.iter().filter(|lease| !renewed(lease)).map(Lease::id).collect();
        done(Ok(lost))
    }

    fn settle(&self, lease: Lease, outcome: Outcome, retry_in: Duration) -> Work<()> {
        done(self.store().settle(&lease, outcome, later(Instant::now(), retry_in)))
    }

    fn release(&self, lease: Lease, release: Release) -> Work<()> {
        done(self.store().release(&lease, release, Instant::now()))
    }

    fn begin(&self, lease: Lease, inference: InferenceDigest) -> Work<Begun> {
        done(self.store().begin(&lease, inference))
    }

    fn retry(&self, query: Query) -> Work<u64> {
        done(Ok(self.store().retry(&query, Instant::now())))
    }

    fn remove(&self, query: Query) -> Work<u64> {
        done(Ok(self.store().remove(&query)))
    }

    fn state(&self, id: DeliveryId) -> Work<Option<State>> {
        done(Ok(self.store().entry(id).map(|entry| entry.state.clone())))
    }

    fn get(&self, id: DeliveryId) -> Work<Option<Archived>> {
        done(Ok(self.store().entry(id).and_then(Entry::archived)))
    }

    fn history(&self, id: DeliveryId) -> Work<Option<Vec<StateChange>>> {
        let history = |entry: &Entry| entry.history.iter().cloned().collect();
        done(Ok(Some(self.store().entry(id).map(history).unwrap_or_default())))
    }

    fn scan(&self, query: Query) -> Entries {
        entries(self.store().selected(&query).filter_map(Entry::archived).collect())
    }

    fn ledger(&self, query: Query) -> Entries<LedgerEntry> {
        entries(self.store().selected(&query).map(Entry::line).collect())
    }

    fn set_paused(&self, model: ModelName, paused: bool) -> Work<()> {
        self.store().unsettled.set_paused(model, paused);
        done(Ok(()))
    }

    fn paused(&self) -> Work<Vec<ModelName>> {
        done(Ok(self.store().unsettled.paused()))
    }

    fn counts(&self) -> Work<Counts> {
        done(Ok(self.store().counts()))
    }

    fn health(&self) -> Work<ArchiveHealth> {
        done(Ok(ArchiveHealth { writes: Some(WriteState::Working), ..ArchiveHealth::default() }))
    }
}

fn entries<T>(found: Vec<T>) -> Entries<T> {
    Entries::ready(found.into_iter().map(Ok))
}

impl fmt::Display for MemoryArchive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("memory (lost when the process ends)")
    }
}

impl fmt::Debug for MemoryArchive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryArchive").field("deliveries", &self.store().entries.len()).finish()
    }
}
