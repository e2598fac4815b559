//! What an archive owes after a crash: what it was asked, and what it answered before.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::SystemTime,
};

use bytes::Bytes;
use tower_inbox::{
    Delivery, DeliveryId, Outcome,
    archive::{Acquired, Appended, Archived, Claimed},
    delivery::State,
};

#[derive(Clone, Debug)]
pub(crate) enum What {
    Append(Delivery),
    AppendLeased(Delivery),
    Acquire(DeliveryId),
    Claim,
    /// Under the lease that the driver holds.
    Settle(DeliveryId, Outcome),
    Release(DeliveryId),
    Retry(DeliveryId),
    Remove(DeliveryId),
    /// Removes all that was received before this time.
    RemoveBefore(SystemTime),
    /// Seals, writes index files, compresses.
    Upkeep,
}

#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Appended(Appended),
    Acquired(Acquired),
    Claimed(Claimed),
    /// Settled or released: this is the state now.
    Changed(State),
    /// Of how many deliveries.
    Retried(u64),
    Removed(u64),
    KeptUp,
    /// There is no such delivery, or the lease was lost: nothing was changed.
    Lost,
    /// It may have been done or not.
    Failed,
}

/// One thing that was asked, after how many calls to the disk, and the answer, after how many.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) what: What,
    pub(crate) at: usize,
    pub(crate) answer: Answer,
    pub(crate) answered_at: usize,
}

impl Asked {
    /// Whether a crash after so many calls came in the midst of it.
    pub(crate) fn was_under_way(&self, calls: usize) -> bool {
        self.at < calls && calls < self.answered_at
    }
}

impl What {
    /// Whether it is done by who looks after the sealed segments.
    pub(crate) fn is_of_the_keeper(&self) -> bool {
        matches!(self, Self::Remove(_) | Self::RemoveBefore(_) | Self::Upkeep)
    }
}

/// What must and what may be found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Promises {
    /// All that was ever sent.
    pub(crate) sent: BTreeMap<DeliveryId, Delivery>,
    /// What a receipt names.
    kept: BTreeSet<DeliveryId>,
    /// What was asked to be removed, and whether that was answered.
    removed: BTreeMap<DeliveryId, bool>,
    /// The states that may be durable: the last that was answered for, and those asked for since.
    states: BTreeMap<DeliveryId, Vec<State>>,
}

impl Promises {
    /// These, and what was asked and answered until a moment.
    pub(crate) fn until(&self, calls: usize, asked: &[Asked]) -> Self {
        let mut promises = self.clone();
        for one in asked.iter().filter(|one| one.at <= calls) {
            promises.add(one, one.answered_at <= calls);
        }
        promises
    }

    fn add(&mut self, asked: &Asked, answered: bool) {
        match (&asked.what, &asked.answer) {
            (What::Append(delivery), answer) => self.append(delivery, false, answer, answered),
            (What::AppendLeased(delivery), answer) => {
                self.append(delivery, true, answer, answered);
            }
            (What::Acquire(id), Answer::Acquired(acquired)) if acquired.lease.is_some() => {
                self.change(*id, acquired.state.clone(), answered);
            }
            (What::Acquire(id), Answer::Failed) => self.may_be_leased(*id),
            (What::Claim, Answer::Claimed(claimed)) => {
                for (_, lease) in &claimed.leases {
                    let (attempts, crashes) = (lease.attempt(), lease.crashes());
                    self.change(lease.id(), leased(attempts, crashes), answered);
                }
            }
            (What::Claim, Answer::Failed) => {
                let all: Vec<_> = self.states.keys().copied().collect();
                for id in all {
                    self.may_be_leased(id);
                }
            }
            (What::Settle(id, _) | What::Release(id), Answer::Changed(state)) => {
                self.change(*id, state.clone(), answered);
            }
            (What::Settle(id, outcome), Answer::Failed) => {
                self.change(*id, outcome.clone().into(), false);
            }
            (What::Release(id), Answer::Failed) => {
                for state in self.states.get(id).cloned().unwrap_or_default() {
                    let attempts = state.attempts().saturating_sub(1);
                    self.change(*id, pending(attempts, state.crashes()), false);
                }
            }
            (What::Retry(id), Answer::Retried(1)) => self.change(*id, State::NEW, answered),
            (What::Retry(id), Answer::Failed) => self.change(*id, State::NEW, false),
            (What::Remove(id), answer) => {
                self.remove(*id, answered && matches!(answer, Answer::Removed(_)));
            }
            (What::RemoveBefore(time), answer) => {
                let ids = self.sent.values().filter(|one| one.received_at() < *time);
                for id in ids.map(Delivery::id).collect::<Vec<_>>() {
                    self.remove(id, answered && matches!(answer, Answer::Removed(_)));
                }
            }
            _ => {}
        }
    }

    fn append(&mut self, delivery: &Delivery, lease: bool, answer: &Answer, answered: bool) {
        let first = if lease { leased(1, 0) } else { State::NEW };
        self.sent.insert(delivery.id(), delivery.clone());
        self.states.entry(delivery.id()).or_insert_with(|| vec![first]);
        if let Answer::Appended(appended) = answer {
            let of = appended.receipt.id();
            if answered {
                self.check_receipt(delivery, appended);
                self.kept.insert(of);
            }
            if appended.receipt.is_repeat() {
                self.change(of, appended.state.clone(), answered);
            }
        } else {
            let same = |other: &&Delivery| other.body() == delivery.body();
            let same: Vec<_> = self.sent.values().filter(same).map(Delivery::id).collect();
            for id in same {
                self.may_be_leased(id);
                self.change(id, State::NEW, false);
            }
        }
    }

    fn change(&mut self, id: DeliveryId, state: State, answered: bool) {
        let possible = self.states.entry(id).or_default();
        if answered {
            possible.clear();
        }
        possible.push(state);
    }

    fn may_be_leased(&mut self, id: DeliveryId) {
        for state in self.states.get(&id).cloned().unwrap_or_default() {
            self.change(id, leased(state.attempts() + 1, state.crashes()), false);
            self.change(id, leased(1, 0), false);
        }
    }

    fn remove(&mut self, id: DeliveryId, answered: bool) {
        *self.removed.entry(id).or_default() |= answered;
    }

    /// What is there is never archived again, and what is neither there nor final is no reason to call something a repeat.
    fn check_receipt(&self, delivery: &Delivery, appended: &Appended) {
        let receipt = appended.receipt;
        if receipt.is_repeat() {
            let of = receipt.id();
            let was_final = self.states.get(&of).is_some_and(|all| all.iter().any(is_final));
            assert_eq!(self.sent.get(&of).map(Delivery::body), Some(delivery.body()));
            assert!(was_final || self.removed.get(&of) != Some(&true), "its body is nowhere");
        } else {
            assert_eq!(receipt.id(), delivery.id());
            let is_the_same = |id: &DeliveryId| {
                let other = &self.sent[id];
                (other.model(), other.body()) == (delivery.model(), delivery.body())
            };
            assert!(!self.here().any(|id| is_the_same(&id)), "a repeat was not recognised");
        }
    }

    /// What a receipt names, or was found, and nobody asked to remove.
    pub(crate) fn here(&self) -> impl Iterator<Item = DeliveryId> {
        self.kept.iter().filter(|id| !self.removed.contains_key(id)).copied()
    }

    /// Acknowledged is recovered, byte for byte, and nothing is invented. What an archive shows once is owed from then
    /// on.
    pub(crate) fn check(&mut self, found: &[Archived]) {
        let mut ids = BTreeSet::new();
        for Archived { delivery, state, .. } in found {
            assert!(ids.insert(delivery.id()), "a delivery was found twice");
            assert_eq!(self.sent.get(&delivery.id()), Some(delivery), "this was never sent");
            assert_ne!(self.removed.get(&delivery.id()), Some(&true), "it was removed");
            self.check_state(delivery.id(), state);
        }
        let lost: Vec<_> = self.here().filter(|id| !ids.contains(id)).collect();
        assert!(lost.is_empty(), "lost {lost:?}, which a receipt names");
        // What was to be removed and is not found was removed. What is found was not, and is owed as before.
        self.removed.retain(|id, _| !ids.contains(id));
        for (id, removed) in &mut self.removed {
            *removed |= self.kept.contains(id) && !ids.contains(id);
        }
        self.kept.extend(ids);
    }

    /// The state that an archive shows after opening is owed from then on.
    pub(crate) fn check_state(&mut self, id: DeliveryId, state: &State) {
        let possible = self.states.entry(id).or_default();
        let place = possible.iter().position(|one| opened(one) == *state);
        let place = place.unwrap_or_else(|| panic!("{id}: {state:?} is none of {possible:?}"));
        possible.drain(..place);
    }

    /// What a receipt names and is gone for good.
    pub(crate) fn gone(&self) -> Vec<DeliveryId> {
        let gone = self.removed.iter().filter(|(id, gone)| **gone && self.kept.contains(id));
        gone.map(|(id, _)| *id).collect()
    }

    /// Bodies that must be in no file: of what is gone, unless they were sent again.
    pub(crate) fn erased(&self) -> Vec<Bytes> {
        let body = |id: &DeliveryId| self.sent[id].body().clone();
        let once =
            |wanted: &Bytes| self.sent.values().filter(|one| one.body() == wanted).count() == 1;
        self.gone().iter().map(body).filter(once).collect()
    }
}

fn leased(attempts: u32, crashes: u32) -> State {
    format!("leased {attempts} {crashes}").parse().unwrap()
}

fn pending(attempts: u32, crashes: u32) -> State {
    format!("pending {attempts} {crashes}").parse().unwrap()
}

/// What a durable state is after opening: a lease has ended with a crash.
fn opened(state: &State) -> State {
    match state {
        State::Leased { crashes: 2.., .. } => {
            Outcome::poisoned("the process crashed 3 times in a row during processing").into()
        }
        State::Leased { attempts, crashes } => pending(*attempts, crashes + 1),
        state => state.clone(),
    }
}

/// Whether a repeat is acknowledged without the bytes.
pub(crate) fn is_final(state: &State) -> bool {
    match state.outcome() {
        Some(Outcome::Processed { .. } | Outcome::Repeat { .. }) => true,
        Some(Outcome::Dead { poisoned, .. }) => *poisoned,
        _ => false,
    }
}
