//! What is known of an inbox from outside, and what must hold.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use tower_inbox::{
    Archive, Counts, DeliveryId, Outcome,
    archive::{Lease, Query},
    delivery::{State, StateKind},
};

use super::{Mode, steps::UNDECODABLE};

/// A removal that was started, and what it may remove.
pub(super) struct Removal {
    query: Query,
    done: AtomicBool,
}

impl Removal {
    pub(super) fn done(&self) {
        self.done.store(true, Ordering::SeqCst);
    }

    fn is_done(&self) -> bool {
        self.done.load(Ordering::SeqCst)
    }

    /// The state of a settled delivery stays as it is once its body is gone.
    fn allows(&self, id: DeliveryId, state: &State) -> bool {
        self.query.selected_id().is_none_or(|wanted| wanted == id)
            && self.query.selects_state(state)
    }
}

/// Crashes in a row: how many there were for certain, and how many there may have been.
#[derive(Clone, Copy, Default)]
struct Crashes {
    certain: u32,
    possible: u32,
}

#[derive(Default)]
pub(super) struct World {
    /// Counts events.
    now: u64,
    /// What was given to the archive.
    sent: HashMap<DeliveryId, Bytes>,
    /// What the archive said is durable.
    stored: HashSet<DeliveryId>,
    /// What was not found any more, by which removal, and when that was noticed.
    removed: HashMap<DeliveryId, (u64, Arc<Removal>)>,
    removals: Vec<Arc<Removal>>,
    /// What its handler accepted.
    pub(super) accepted: HashSet<Bytes>,
    /// How often its handler refused it for good.
    pub(super) refused: HashMap<Bytes, u32>,
    /// What is durably processed.
    processed: HashSet<DeliveryId>,
    poisoned: HashSet<DeliveryId>,
    /// When an outcome was recorded last.
    settled_at: HashMap<DeliveryId, u64>,
    /// When the last post began that was acknowledged and not answered by its handler.
    owed: HashMap<DeliveryId, u64>,
    /// Jobs whose handler runs, in this life of the process.
    running: HashSet<String>,
    /// Leases that the process holds and has not begun to end.
    held: HashMap<DeliveryId, Lease>,
    crashes: HashMap<DeliveryId, Crashes>,
    /// What must not be. A panic within a handler would be caught.
    broken: Vec<String>,
}

#[derive(Clone, Default)]
pub(super) struct Shared(Arc<Mutex<World>>);

impl Shared {
    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}

/// What the archive says.
impl World {
    pub(super) fn appending(&mut self, id: DeliveryId, body: &Bytes) {
        self.sent.insert(id, body.clone());
    }

    pub(super) fn appended(&mut self, id: DeliveryId) {
        self.stored.insert(id);
    }

    pub(super) fn leased(&mut self, lease: Lease) {
        self.held.insert(lease.id(), lease);
    }

    /// The process begins to settle or release.
    pub(super) fn ending(&mut self, lease: &Lease) {
        if self.held.get(&lease.id()) == Some(lease) {
            self.held.remove(&lease.id());
        }
    }

    pub(super) fn settling(&mut self, lease: &Lease) {
        self.ending(lease);
        self.crashes.entry(lease.id()).or_default().certain = 0;
    }

    pub(super) fn settled(&mut self, id: DeliveryId, outcome: &Outcome) {
        self.now += 1;
        self.settled_at.insert(id, self.now);
        self.crashes.insert(id, Crashes::default());
        if matches!(outcome, Outcome::Processed { .. }) {
            self.processed.insert(id);
        }
    }

    pub(super) fn retrying(&mut self) {
        self.poisoned.clear();
        self.crashes.values_mut().for_each(|crashes| crashes.certain = 0);
    }

    pub(super) fn removing(&mut self, query: Query) -> Arc<Removal> {
        let removal = Arc::new(Removal { query, done: AtomicBool::new(false) });
        self.removals.push(Arc::clone(&removal));
        removal
    }

    /// Leases may have expired while the process could not renew them.
    pub(super) fn leases_may_expire(&mut self) {
        for id in &self.stored {
            self.crashes.entry(*id).or_default().possible += 1;
        }
    }
}

/// What senders and handlers see.
impl World {
    pub(super) fn post_begins(&mut self) -> u64 {
        self.now += 1;
        self.now
    }

    /// In the background every answer is the same. Inline, nobody gets an answer of a handler before the handler gave it.
    pub(super) fn check_status(&mut self, mode: Mode, body: &Bytes, status: u16) {
        let is_right = match (mode, status) {
            (Mode::Background, 202) | (Mode::Inline, 202 | 500 | 503) => true,
            (Mode::Inline, 200) => self.accepted.contains(body),
            (Mode::Inline, 404) => self.refused.contains_key(body),
            (Mode::Inline, 422) => is_undecodable(body),
            _ => false,
        };
        if !is_right {
            self.broken.push(format!("{body:?} is answered {status} ({mode:?})"));
        }
    }

    /// The acknowledgement of a post that began at `began`. Its delivery is in this state now.
    pub(super) fn acknowledged(&mut self, id: DeliveryId, body: &Bytes, began: u64, state: &State) {
        if self.sent.get(&id) != Some(body) {
            self.broken.push(format!("{body:?} is acknowledged as {id}, which is another one"));
        }
        if !self.stored.contains(&id) {
            self.broken.push(format!("{id} is acknowledged and was never stored"));
        }
        let was_removed = self.removed.get(&id).is_some_and(|(at, _)| *at < began);
        if was_removed && !is_final(state) {
            self.broken.push(format!("{id} is acknowledged after it was removed as {state}"));
        }
        self.owed.insert(id, began);
    }

    pub(super) fn handler_starts(&mut self, id: DeliveryId, body: &Bytes, job: &str) {
        let processed = self.processed.iter().any(|id| self.sent.get(id) == Some(body));
        if processed {
            self.broken.push(format!("{body:?} runs after it was processed"));
        }
        if self.poisoned.contains(&id) {
            self.broken.push(format!("{id} runs and is poisoned"));
        }
        if is_undecodable(body) {
            self.broken.push(format!("{id} runs and is undecodable"));
        }
        if !self.running.insert(job.to_owned()) {
            self.broken.push(format!("{job} runs twice at a time"));
        }
    }

    pub(super) fn handler_ends(&mut self, job: &str) {
        self.running.remove(job);
    }
}

/// The lives of the process.
impl World {
    /// Every lease that is held counts as a crash.
    pub(super) fn crashed(&mut self) {
        for id in &self.stored {
            let crashes = self.crashes.entry(*id).or_default();
            crashes.possible += 1;
            crashes.certain += u32::from(self.held.contains_key(id));
        }
        // What was being removed may be back.
        self.removed.retain(|_, (_, removal)| removal.is_done());
    }

    pub(super) fn begin_life(&mut self) {
        self.running.clear();
        self.held.clear();
    }

    /// No removal of an earlier life goes on.
    pub(super) fn forget_removals(&mut self) {
        self.removals.iter().for_each(|removal| removal.done());
        self.removals.clear();
    }

    pub(super) fn nth(&self, n: usize) -> Option<DeliveryId> {
        let mut ids: Vec<_> = self.stored.iter().copied().collect();
        ids.sort_unstable();
        ids.get(n.checked_rem(ids.len())?).copied()
    }

    pub(super) fn stored(&self) -> HashSet<DeliveryId> {
        self.stored.clone()
    }

    /// After the third crash in a row a delivery is poisoned, once its lease has ended.
    fn must_be_poisoned(&self, id: DeliveryId) -> bool {
        self.crashes.get(&id).is_some_and(|crashes| crashes.certain >= 3)
            && !self.removed.contains_key(&id)
    }

    /// A stored delivery has this state and no body.
    fn not_found(&mut self, id: DeliveryId, state: &State) {
        if self.removed.contains_key(&id) {
            return;
        }
        match self.removals.iter().find(|removal| removal.allows(id, state)) {
            None => self.broken.push(format!("{id} is {state}, and its body is lost")),
            Some(removal) => {
                self.now += 1;
                self.removed.insert(id, (self.now, Arc::clone(removal)));
            }
        }
    }

    fn found(&mut self, id: DeliveryId, body: &Bytes) {
        match self.sent.get(&id) {
            None => self.broken.push(format!("{id} was never sent")),
            Some(sent) if sent != body => self.broken.push(format!("{id} has other bytes")),
            Some(_) => {}
        }
        if self.removed.contains_key(&id) {
            self.broken.push(format!("{id} is back after it was removed"));
        }
    }

    fn check_state(&mut self, id: DeliveryId, state: &State) {
        if self.processed.contains(&id) && state.kind() != StateKind::Processed {
            self.broken.push(format!("{id} was processed and is {state}"));
        }
        let is_poisoned = matches!(state, State::Outcome(Outcome::Dead { poisoned: true, .. }));
        if is_poisoned {
            self.poisoned.insert(id);
            if self.crashes.get(&id).is_none_or(|crashes| crashes.possible < 3) {
                self.broken.push(format!("{id} is poisoned without three crashes"));
            }
        }
    }

    /// Whether the state of a settled delivery is one that it may have in the end.
    fn check_settled(&mut self, id: DeliveryId, state: &State) {
        let body = self.sent[&id].clone();
        let is_right = match state {
            State::Outcome(Outcome::Processed { .. }) => self.accepted.contains(&body),
            State::Outcome(Outcome::Repeat { of, .. }) => {
                self.processed.contains(of) && self.sent[of] == body
            }
            State::Outcome(Outcome::Dead { poisoned: true, .. }) => return,
            State::Outcome(Outcome::Dead { .. }) => self.refused.contains_key(&body),
            State::Outcome(Outcome::Undecodable { .. }) => is_undecodable(&body),
            _ => false,
        };
        if !is_right {
            self.broken.push(format!("{id} ({body:?}) is {state} in the end"));
        }
        let settled_at = self.settled_at.get(&id).copied().unwrap_or_default();
        let began = self.owed.get(&id).copied().unwrap_or_default();
        if settled_at < began && !is_final(state) {
            let what = "is acknowledged, and its handler did not see it since";
            self.broken.push(format!("{id} ({body:?}) {what}: {state}"));
        }
    }

    fn assert_holds(&self, when: &str) {
        assert!(self.broken.is_empty(), "{when}: {:#?}", self.broken);
    }
}

/// No repeat revives it.
fn is_final(state: &State) -> bool {
    matches!(
        state,
        State::Outcome(
            Outcome::Processed { .. }
                | Outcome::Repeat { .. }
                | Outcome::Dead { poisoned: true, .. }
        )
    )
}

fn is_undecodable(body: &Bytes) -> bool {
    body.starts_with(UNDECODABLE.as_bytes())
}

/// Compares the archive with what is known.
pub(super) async fn check(archive: &dyn Archive, shared: &Shared, when: &str) {
    let stored = shared.world().stored();
    let mut entries = archive.scan(Query::all());
    let mut found = HashSet::new();
    while let Some(entry) = entries.next().await {
        let entry = entry.unwrap();
        found.insert(entry.delivery.id());
        shared.world().found(entry.delivery.id(), entry.delivery.body());
    }
    for id in stored {
        let state = archive.state(id).await.unwrap().expect("a ledger entry is lost");
        let mut world = shared.world();
        world.check_state(id, &state);
        if !found.contains(&id) {
            world.not_found(id, &state);
        }
    }
    let mut world = shared.world();
    world.removals.retain(|removal| !removal.is_done());
    world.assert_holds(when);
}

/// The process has come back after a crash, and no lease from before is left.
pub(super) async fn check_poisoned(archive: &dyn Archive, shared: &Shared) {
    let stored = shared.world().stored();
    for id in stored.into_iter().filter(|id| shared.world().must_be_poisoned(*id)) {
        let state = archive.state(id).await.unwrap().unwrap();
        let is_poisoned = matches!(state, State::Outcome(Outcome::Dead { poisoned: true, .. }));
        assert!(is_poisoned, "{id} is {state} after three crashes");
    }
}

/// The crashes of each delivery that is not settled.
pub(super) async fn crashes(archive: &dyn Archive, shared: &Shared) -> HashMap<DeliveryId, u32> {
    let mut crashes = HashMap::new();
    for id in shared.world().stored() {
        let state = archive.state(id).await.unwrap().unwrap();
        crashes.insert(id, state.crashes());
    }
    crashes
}

/// Everything that was not removed is settled, for a reason.
pub(super) async fn check_settled(archive: &dyn Archive, shared: &Shared, when: &str) {
    check(archive, shared, when).await;
    let mut counted = Counts::default();
    let mut entries = archive.ledger(Query::all());
    while let Some(entry) = entries.next().await {
        let entry = entry.unwrap();
        shared.world().check_settled(entry.id, &entry.state);
        counted.add(&entry.model, entry.state.kind(), 1);
    }
    let counts = archive.counts().await.unwrap();
    for kind in StateKind::ALL {
        assert_eq!(counts.of_all(kind), counted.of_all(kind), "{when}: {kind}");
    }
    shared.world().assert_holds(when);
}

/// Everything was retried, and its handler accepts.
pub(super) async fn check_accepted(archive: &dyn Archive, shared: &Shared) {
    check_settled(archive, shared, "after everything was retried").await;
    let mut dead = archive.ledger(Query::all().state(StateKind::Dead));
    assert!(dead.next().await.is_none(), "dead after everything was retried and accepted");
}
