//! What an archive owes after a crash: what it was asked, and what it answered before.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::SystemTime,
};

use bytes::Bytes;
use tower_inbox::{Delivery, DeliveryId, Outcome, Receipt, archive::Archived};

#[derive(Clone, Debug)]
pub(crate) enum What {
    Append(Delivery),
    Settle(DeliveryId, Outcome),
    Remove(DeliveryId),
    /// Removes all that was received before this time.
    RemoveBefore(SystemTime),
    /// Seals, writes index files, compresses.
    Upkeep,
}

#[derive(Debug)]
pub(crate) enum Answer {
    Receipt(Receipt),
    Settled,
    /// Of how many deliveries.
    Removed(u64),
    KeptUp,
    Refused,
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
    /// The outcomes that may be found: the last that was answered for, and those asked for since.
    outcomes: BTreeMap<DeliveryId, Vec<Option<Outcome>>>,
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
            (What::Append(delivery), answer) => {
                if let (Answer::Receipt(receipt), true) = (answer, answered) {
                    self.check_receipt(delivery, receipt);
                    self.kept.insert(receipt.id());
                }
                self.sent.insert(delivery.id(), delivery.clone());
            }
            (What::Settle(id, outcome), answer) => {
                let possible = self.outcomes.entry(*id).or_insert_with(|| vec![None]);
                if answered && matches!(answer, Answer::Settled) {
                    possible.clear();
                }
                possible.push(Some(outcome.clone()));
            }
            (What::Remove(id), answer) => {
                self.remove(*id, answered && matches!(answer, Answer::Removed(_)));
            }
            (What::RemoveBefore(time), answer) => {
                let ids = self.sent.values().filter(|one| one.received_at() < *time);
                for id in ids.map(Delivery::id).collect::<Vec<_>>() {
                    self.remove(id, answered && matches!(answer, Answer::Removed(_)));
                }
            }
            (What::Upkeep, _) => {}
        }
    }

    fn remove(&mut self, id: DeliveryId, answered: bool) {
        *self.removed.entry(id).or_default() |= answered;
    }

    /// What is there is never archived again, and what is neither there nor settled is no reason to call something a
    /// repeat.
    fn check_receipt(&self, delivery: &Delivery, receipt: &Receipt) {
        if receipt.is_repeat() {
            let of = receipt.id();
            let was_settled =
                |outcome: &Option<_>| outcome.as_ref().is_some_and(Outcome::is_settled);
            let settled = self.outcomes.get(&of).is_some_and(|all| all.iter().any(was_settled));
            assert_eq!(self.sent.get(&of).map(Delivery::body), Some(delivery.body()));
            assert!(settled || self.removed.get(&of) != Some(&true), "its body is nowhere");
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
        for Archived { delivery, outcome, .. } in found {
            assert!(ids.insert(delivery.id()), "a delivery was found twice");
            assert_eq!(self.sent.get(&delivery.id()), Some(delivery), "this was never sent");
            assert_ne!(self.removed.get(&delivery.id()), Some(&true), "it was removed");
            self.check_outcome(delivery.id(), outcome.as_ref());
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

    /// What an archive shows once of an outcome is owed from then on.
    pub(crate) fn check_outcome(&mut self, id: DeliveryId, outcome: Option<&Outcome>) {
        let possible = self.outcomes.entry(id).or_insert_with(|| vec![None]);
        let place = possible.iter().position(|one| one.as_ref() == outcome);
        let place = place.unwrap_or_else(|| panic!("{outcome:?} is none of {possible:?}"));
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
