//! Plans the effect of a batch of commands, based on the index and the preceding commands. No I/O.

use std::collections::{HashMap, HashSet};

use tokio::time::Instant;

use super::{
    command::{Answer, Command, Reply},
    log::Batch,
};
use crate::{
    archive::{
        Acquire, Acquired, Append, Appended, ArchiveError, Claim, Claimed, Lease, LeaseToken,
        Query, Release,
        disk::{
            format::entry::{Entry, MAX_REMOVED, Place},
            fs::file_system::Failure,
            index::{DeliveryEntry, Index},
        },
        transition::{self, Known, Repeat},
        unsettled::{Selection, later},
    },
    delivery::{DeliveryId, Fingerprint, InferenceId, Outcome, State},
};

/// The change to the index for an entry once it is durable, in addition to the entry itself.
#[derive(Clone, Copy, Debug)]
pub(in crate::archive::disk) enum Change {
    Store {
        token: Option<LeaseToken>,
        now: Instant,
    },
    /// The lease ends. With `released`, it ends even if the entry cannot be made durable, because its holder is gone.
    PutBack {
        due: Instant,
        released: bool,
    },
    /// The lease always ends.
    Block {
        on: InferenceId,
        now: Instant,
    },
    Lease {
        token: LeaseToken,
    },
    Remove,
}

/// The entries to write for a batch of commands, and the answers to send.
#[derive(Debug, Default)]
pub(in crate::archive::disk) struct Plan {
    pub(in crate::archive::disk) batch: Batch,
    /// One change for each entry of the batch.
    pub(in crate::archive::disk) changes: Vec<Change>,
    /// Answers to send once this number of changes is durable.
    pub(in crate::archive::disk) answers: Vec<(usize, Answer)>,
    /// Answers that do not depend on the disk.
    pub(in crate::archive::disk) immediate: Vec<Answer>,
    /// Callers that wait until the segment is sealed after the entries.
    pub(in crate::archive::disk) seals: Vec<Reply<()>>,
    /// Deliveries that were found damaged.
    pub(in crate::archive::disk) unreadable: HashMap<DeliveryId, Place>,
    /// Commands about deliveries that this batch already changes: deferred to the next batch, in this order.
    pub(in crate::archive::disk) waiting: Vec<Command>,
    appends: usize,
    /// The latest time at which a command was issued, in this and earlier batches. A delivery that one command made due
    /// is also due for commands executed after it, even if they were issued before it.
    pub(in crate::archive::disk) latest: Option<Instant>,
    /// The deliveries that this batch changes, in their new state; `None` if a deferred command is about them.
    touched: HashMap<DeliveryId, Option<Known>>,
    /// The deliveries that this batch stores.
    stored: HashMap<Fingerprint, DeliveryId>,
}

impl Plan {
    /// Returns an empty plan for commands that follow those issued until this time.
    pub(in crate::archive::disk) fn after(latest: Option<Instant>) -> Self {
        Self { latest, ..Self::default() }
    }

    /// Returns the number of appends added.
    pub(in crate::archive::disk) fn appends(&self) -> usize {
        self.appends
    }

    /// Plans the effect of each command.
    pub(in crate::archive::disk) fn add(&mut self, commands: Vec<Command>, index: &Index) {
        for command in commands {
            if let Command::Append { .. } = command {
                self.appends += 1;
            }
            self.latest = self.latest.max(command.now());
            if let Some(command) = self.add_one(command, index) {
                self.wait(command);
            }
        }
    }

    /// Plans a command. Returns it if it must wait for the next batch.
    fn add_one(&mut self, command: Command, index: &Index) -> Option<Command> {
        if ids_of(&command).iter().any(|id| self.touched.contains_key(id)) {
            return Some(command);
        }
        match command {
            Command::Append { append, now, reply } => self.append(append, now, reply, index),
            Command::Claim { claim, now, reply } => self.claim(claim, now, reply, index),
            Command::Acquire { acquire, now, reply } => {
                self.acquire(acquire, now, reply, index);
                None
            }
            Command::Settle { lease, outcome, due, reply } => {
                self.settle(lease, outcome, due, reply, index);
                None
            }
            Command::Release { lease, release, now, reply } => {
                self.release(lease, release, now, reply, index);
                None
            }
            Command::Retry { ids, query, now, reply } => {
                self.retry(&ids, &query, now, reply, index);
                None
            }
            Command::Remove { ids, query, reply } => {
                self.remove(&ids, &query, reply, index);
                None
            }
            Command::Unreadable { id, place } => {
                self.unreadable.insert(id, place);
                None
            }
            Command::Record { id, state, now } => {
                if let Some(entry) = index.in_memory(id).filter(|entry| entry.state == state) {
                    let known = self.known_of(&entry);
                    self.change(id, &known, state, Change::PutBack { due: now, released: false });
                }
                None
            }
            Command::Seal(reply) => {
                self.seals.push(reply);
                None
            }
        }
    }

    fn wait(&mut self, command: Command) {
        for id in ids_of(&command) {
            self.touched.insert(id, None);
        }
        self.waiting.push(command);
    }

    /// Returns the delivery of this batch or of the index that has this fingerprint.
    fn first(
        &self,
        fingerprint: Fingerprint,
        index: &Index,
    ) -> Result<Option<DeliveryId>, Failure> {
        match self.stored.get(&fingerprint) {
            Some(id) => Ok(Some(*id)),
            None => Ok(index.first(fingerprint)?.map(|entry| entry.id)),
        }
    }

    fn append(
        &mut self,
        append: Append,
        now: Instant,
        reply: Reply<Appended>,
        index: &Index,
    ) -> Option<Command> {
        let first = match self.first(append.delivery().fingerprint(), index) {
            Ok(first) => first,
            Err(failure) => {
                self.refuse(reply, failure.into());
                return None;
            }
        };
        let Some(first) = first else {
            self.store(&append, now, reply, index);
            return None;
        };
        let wait = |append, reply| Some(Command::Append { append, now, reply });
        let planned = self.touched.get(&first);
        let known = match planned {
            Some(None) => {
                let waits = wait(append, reply);
                return waits;
            }
            Some(Some(known)) => known.clone(),
            None => match self.known(first, index) {
                Ok(known) => known.unwrap_or(NOT_THERE),
                Err(failure) => {
                    self.refuse(reply, failure.into());
                    return None;
                }
            },
        };
        let is_touched = planned.is_some();
        let state = match transition::repeat(&known, append.lease_length().is_some()) {
            Repeat::Store => {
                self.store(&append, now, reply, index);
                return None;
            }
            Repeat::Unchanged => {
                let answer = Answer::new(reply, append.repeats(first, known.state, None), now);
                if is_touched {
                    self.answer(answer);
                } else {
                    self.immediate.push(answer);
                }
                return None;
            }
            // A delivery makes at most one transition per batch.
            Repeat::Revive | Repeat::Lease(_) if is_touched => {
                self.touched.insert(first, None);
                return wait(append, reply);
            }
            Repeat::Revive => {
                let change = Change::PutBack { due: now, released: false };
                self.change(first, &known, State::NEW, change);
                self.answer(Answer::new(reply, append.repeats(first, State::NEW, None), now));
                return None;
            }
            Repeat::Lease(state) => state,
        };
        let lease = self.lease(first, &known, &state);
        self.answer(Answer::new(reply, append.repeats(first, state, Some(lease)), now));
        None
    }

    fn store(&mut self, append: &Append, now: Instant, reply: Reply<Appended>, index: &Index) {
        let delivery = append.delivery().clone();
        let id = delivery.id();
        let taken = match index.locate(id) {
            Ok(position) => position.is_some() || self.touched.contains_key(&id),
            Err(failure) => return self.refuse(reply, failure.into()),
        };
        if taken {
            let error = ArchiveError::Other(Box::new(IdTaken { id }));
            self.immediate.push(Answer::refusal(reply, error));
            return;
        }
        let lease =
            append.lease_length().map(|_| lease_of(id, &State::NEW.leased(), LeaseToken::new()));
        let appended = append.stored(lease);
        self.stored.insert(delivery.fingerprint(), id);
        let known = Known { state: appended.state.clone(), has_body: true };
        self.touched.insert(id, Some(known));
        self.batch.push(Entry::Delivery { delivery, leased: lease.is_some() });
        self.changes.push(Change::Store { token: lease.map(|lease| lease.token()), now });
        self.answer(Answer::new(reply, appended, now));
    }

    fn claim(
        &mut self,
        claim: Claim,
        now: Instant,
        reply: Reply<Claimed>,
        index: &Index,
    ) -> Option<Command> {
        let latest = self.latest.unwrap_or(now);
        let Selection { ids, next_due } =
            index.select(&claim, latest, |id| self.touched.contains_key(&id));
        if ids.is_empty() && !self.touched.is_empty() {
            // A delivery that this batch changes may become due after it.
            return Some(Command::Claim { claim, now, reply });
        }
        let mut leases = Vec::new();
        for id in ids {
            let Some(entry) = index.in_memory(id) else { continue };
            let known = self.known_of(&entry);
            let state = known.state.leased();
            leases.push((entry.model, self.lease(id, &known, &state)));
        }
        let answer = Answer::new(reply, Claimed::new(leases, next_due), now);
        self.answer(answer);
        None
    }

    fn acquire(&mut self, acquire: Acquire, now: Instant, reply: Reply<Acquired>, index: &Index) {
        let id = acquire.id;
        let known = match self.existing(id, index) {
            Ok(known) => known,
            Err(error) => return self.refuse(reply, error),
        };
        let answer = match transition::acquire(&known, acquire.revive) {
            Some(state) => {
                let lease = self.lease(id, &known, &state);
                Acquired::new(state, Some(lease))
            }
            None => Acquired::new(known.state, None),
        };
        self.answer(Answer::new(reply, answer, now));
    }

    fn settle(
        &mut self,
        lease: Lease,
        outcome: Outcome,
        due: Instant,
        reply: Reply<()>,
        index: &Index,
    ) {
        let id = lease.id();
        let known = match self.existing(id, index) {
            Ok(known) => known,
            Err(error) => return self.refuse(reply, error),
        };
        if !transition::settles(&known.state, index.holds(&lease), &outcome) {
            return self.refuse(reply, ArchiveError::LeaseLost { id });
        }
        let change = Change::PutBack { due, released: false };
        self.change(id, &known, outcome.into(), change);
        self.answer(Answer::without_lease(reply, ()));
    }

    fn release(
        &mut self,
        lease: Lease,
        release: Release,
        now: Instant,
        reply: Reply<()>,
        index: &Index,
    ) {
        let id = lease.id();
        let known = match self.existing(id, index) {
            Ok(known) => known,
            Err(error) => return self.refuse(reply, error),
        };
        if !index.holds(&lease) {
            return self.refuse(reply, ArchiveError::LeaseLost { id });
        }
        let change = match release {
            Release::After(wait) => Change::PutBack { due: later(now, wait), released: true },
            Release::WhenFree(on) => Change::Block { on, now },
        };
        self.change(id, &known, known.state.released(), change);
        self.answer(Answer::without_lease(reply, ()));
    }

    fn retry(
        &mut self,
        ids: &[DeliveryId],
        query: &Query,
        now: Instant,
        reply: Reply<u64>,
        index: &Index,
    ) {
        let selected = match selected(ids, query, index) {
            Ok(selected) => selected,
            Err(failure) => return self.refuse(reply, failure.into()),
        };
        let mut retried = 0;
        for entry in selected {
            let known = self.known_of(&entry);
            if transition::retries(&known) {
                let change = Change::PutBack { due: now, released: false };
                self.change(entry.id, &known, State::NEW, change);
                retried += 1;
            }
        }
        self.answer(Answer::without_lease(reply, retried));
    }

    fn remove(
        &mut self,
        ids: &[DeliveryId],
        query: &Query,
        reply: Reply<Vec<DeliveryId>>,
        index: &Index,
    ) {
        let selected = match selected(ids, query, index) {
            Ok(selected) => selected,
            Err(failure) => return self.refuse(reply, failure.into()),
        };
        for some in selected.chunks(MAX_REMOVED) {
            for entry in some {
                let known = Known { state: entry.state.clone(), has_body: false };
                self.touched.insert(entry.id, Some(known));
            }
            self.batch.push(Entry::Removal(some.iter().map(|entry| entry.id).collect()));
            self.changes.push(Change::Remove);
        }
        let selected = selected.into_iter().map(|entry| entry.id).collect();
        self.answer(Answer::without_lease(reply, selected));
    }

    /// Leases a delivery, effective at the end of this batch.
    fn lease(&mut self, id: DeliveryId, known: &Known, state: &State) -> Lease {
        let token = LeaseToken::new();
        self.change(id, known, state.clone(), Change::Lease { token });
        lease_of(id, state, token)
    }

    /// Changes the state of a known delivery.
    fn change(&mut self, of: DeliveryId, known: &Known, state: State, change: Change) {
        let known = Known { state: state.clone(), has_body: known.has_body };
        self.touched.insert(of, Some(known));
        self.batch.push(Entry::State { of, state });
        self.changes.push(change);
    }

    /// Looks up a delivery that this batch has not changed.
    fn known(&self, id: DeliveryId, index: &Index) -> Result<Option<Known>, Failure> {
        Ok(index.get(id)?.map(|entry| self.known_of(&entry)))
    }

    /// Looks up a delivery that this batch has not changed, and that must exist.
    fn existing(&self, id: DeliveryId, index: &Index) -> Result<Known, ArchiveError> {
        self.known(id, index)?.ok_or(ArchiveError::Unknown { id })
    }

    fn known_of(&self, entry: &DeliveryEntry) -> Known {
        let mut known = entry.known();
        let unreadable = self.unreadable.get(&entry.id).copied();
        known.has_body &= unreadable.is_none() || unreadable != entry.place;
        known
    }

    /// Sends the answer once everything planned so far is durable.
    fn answer(&mut self, answer: Answer) {
        if self.changes.is_empty() {
            self.immediate.push(answer);
        } else {
            self.answers.push((self.changes.len(), answer));
        }
    }

    fn refuse<T: Send + 'static>(&mut self, reply: Reply<T>, error: ArchiveError) {
        self.immediate.push(Answer::refusal(reply, error));
    }
}

const NOT_THERE: Known = Known { state: State::NEW, has_body: false };

/// Returns the listed deliveries that `query` selects, without duplicates.
fn selected(
    ids: &[DeliveryId],
    query: &Query,
    index: &Index,
) -> Result<Vec<DeliveryEntry>, Failure> {
    let mut seen = HashSet::new();
    let entries = ids.iter().filter(|id| seen.insert(**id)).map(|id| index.get(*id));
    let entries: Vec<_> = entries.collect::<Result<_, _>>()?;
    Ok(entries.into_iter().flatten().filter(|entry| entry.is_selected(query)).collect())
}

fn lease_of(id: DeliveryId, state: &State, token: LeaseToken) -> Lease {
    Lease::new(id, token, state.attempts(), state.crashes())
}

/// Returns the deliveries that a command names.
fn ids_of(command: &Command) -> Vec<DeliveryId> {
    match command {
        Command::Acquire { acquire, .. } => vec![acquire.id],
        Command::Settle { lease, .. } | Command::Release { lease, .. } => vec![lease.id()],
        Command::Retry { ids, .. } | Command::Remove { ids, .. } => ids.clone(),
        Command::Record { id, .. } => vec![*id],
        Command::Append { .. }
        | Command::Claim { .. }
        | Command::Unreadable { .. }
        | Command::Seal(_) => Vec::new(),
    }
}

/// Two deliveries with the same id would be merged at the next start.
#[derive(Debug, thiserror::Error)]
#[error("another delivery has the id {id}; give each delivery an id of its own")]
struct IdTaken {
    id: DeliveryId,
}

#[cfg(test)]
#[path = "../tests/plan.rs"]
mod tests;
