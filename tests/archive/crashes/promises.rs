//! What an archive owes after a crash: what it was asked, and what it answered before.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use tower_inbox::{Delivery, DeliveryId, Outcome, Receipt, archive::Archived};

#[derive(Clone, Debug)]
pub(crate) enum What {
    Append(Delivery),
    Settle(DeliveryId, Outcome),
    Remove(DeliveryId),
    /// Seals, writes index files, compresses.
    Upkeep,
}

#[derive(Debug)]
pub(crate) enum Answer {
    Receipt(Receipt),
    Settled,
    Removed,
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
                self.sent.insert(delivery.id(), delivery.clone());
                if let (Answer::Receipt(receipt), true) = (answer, answered) {
                    assert!(receipt.is_repeat() || receipt.id() == delivery.id());
                    self.kept.insert(receipt.id());
                }
            }
            (What::Settle(id, outcome), answer) => {
                let possible = self.outcomes.entry(*id).or_insert_with(|| vec![None]);
                if answered && matches!(answer, Answer::Settled) {
                    possible.clear();
                }
                possible.push(Some(outcome.clone()));
            }
            (What::Remove(id), answer) => {
                let known = self.removed.entry(*id).or_default();
                *known |= answered && matches!(answer, Answer::Removed);
            }
            (What::Upkeep, _) => {}
        }
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
        let lost: Vec<_> = self.kept.difference(&ids).collect();
        let lost: Vec<_> = lost.into_iter().filter(|id| !self.removed.contains_key(id)).collect();
        assert!(lost.is_empty(), "lost {lost:?}, which a receipt names");
        // What was to be removed and is not found was removed.
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
