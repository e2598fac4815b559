//! The state that an archive must have after a crash, derived from the requests and responses before it.

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
    /// Settles with the lease of the driver.
    Settle(DeliveryId, Outcome),
    Release(DeliveryId),
    Retry(DeliveryId),
    Remove(DeliveryId),
    /// Removes all deliveries received before this time.
    RemoveBefore(SystemTime),
    /// Seals segments, writes index files, and compresses.
    Upkeep,
}

#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Appended(Appended),
    Acquired(Acquired),
    Claimed(Claimed),
    /// Settled or released: the new state.
    Changed(State),
    /// The number of deliveries.
    Retried(u64),
    Removed(u64),
    KeptUp,
    /// Nothing changed: the delivery does not exist, or the lease was lost.
    Lost,
    /// The request may or may not have taken effect.
    Failed,
}

/// A request and its response, each with the number of disk calls before it.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) what: What,
    pub(crate) at: usize,
    pub(crate) answer: Answer,
    pub(crate) answered_at: usize,
}

impl Asked {
    /// Returns true if a crash after `calls` disk calls interrupts the request.
    pub(crate) fn was_under_way(&self, calls: usize) -> bool {
        self.at < calls && calls < self.answered_at
    }
}

impl What {
    /// Returns true if maintenance executes the request.
    pub(crate) fn is_of_the_keeper(&self) -> bool {
        matches!(self, Self::Remove(_) | Self::RemoveBefore(_) | Self::Upkeep)
    }
}

/// The deliveries that must be found, and those that may be found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Promises {
    /// All deliveries that were sent.
    pub(crate) sent: BTreeMap<DeliveryId, Delivery>,
    /// The ids of deliveries that a receipt named or that were found.
    kept: BTreeSet<DeliveryId>,
    /// The deliveries with a removal request, and whether the removal was confirmed.
    removed: BTreeMap<DeliveryId, bool>,
    /// The states that may be durable: the last confirmed one, and those requested since.
    states: BTreeMap<DeliveryId, Vec<State>>,
}

impl Promises {
    /// Adds the requests and responses of the first `calls` disk calls.
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

    /// A stored delivery is never archived again. A removed delivery without a final state has no repeats.
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

    /// Returns the deliveries that a receipt named or that were found, without a removal request.
    pub(crate) fn here(&self) -> impl Iterator<Item = DeliveryId> {
        self.kept.iter().filter(|id| !self.removed.contains_key(id)).copied()
    }

    /// Checks that acknowledged deliveries are recovered byte for byte, and that all found ones were sent. A delivery
    /// that an archive returns once must be found from then on.
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
        // A delivery that is missing after a removal request was removed. One that is found must still be found later.
        self.removed.retain(|id, _| !ids.contains(id));
        for (id, removed) in &mut self.removed {
            *removed |= self.kept.contains(id) && !ids.contains(id);
        }
        self.kept.extend(ids);
    }

    /// Checks that a state that an archive returns after opening holds from then on.
    pub(crate) fn check_state(&mut self, id: DeliveryId, state: &State) {
        let possible = self.states.entry(id).or_default();
        let place = possible.iter().position(|one| opened(one) == *state);
        let place = place.unwrap_or_else(|| panic!("{id}: {state:?} is none of {possible:?}"));
        possible.drain(..place);
    }

    /// Returns the removed deliveries that a receipt named or that were found.
    pub(crate) fn gone(&self) -> Vec<DeliveryId> {
        let gone = self.removed.iter().filter(|(id, gone)| **gone && self.kept.contains(id));
        gone.map(|(id, _)| *id).collect()
    }

    /// Returns the bodies that must not be in any file: those of removed deliveries, unless they were sent again.
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

/// Returns the state after opening, given the durable state: a lease counts as a crash.
fn opened(state: &State) -> State {
    match state {
        State::Leased { crashes: 2.., .. } => {
            Outcome::poisoned("the process crashed 3 times in a row during processing").into()
        }
        State::Leased { attempts, crashes } => pending(*attempts, crashes + 1),
        state => state.clone(),
    }
}

/// Returns true if repeats are acknowledged without the bytes being stored.
pub(crate) fn is_final(state: &State) -> bool {
    match state.outcome() {
        Some(Outcome::Processed { .. } | Outcome::Repeat { .. }) => true,
        Some(Outcome::Dead { poisoned, .. }) => *poisoned,
        _ => false,
    }
}
