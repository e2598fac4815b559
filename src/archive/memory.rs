use std::{
    collections::HashMap,
    fmt,
    future::ready,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Archive, ArchiveError, Archived, Entries, Line, Query, Work};
use crate::delivery::{Delivery, DeliveryId, Fingerprint, InferenceDigest, Outcome, Receipt};

/// Keeps deliveries in memory: **nothing survives the process**. For tests and for measuring what a disk costs.
///
/// Bounded by nothing but the memory of the machine: it remembers all that it was ever given.
///
/// ```
/// use tower_inbox::archive::{Archive, MemoryArchive};
///
/// let archive = MemoryArchive::new();
/// assert_eq!(archive.to_string(), "memory (lost when the process ends)");
/// ```
#[derive(Clone, Default)]
pub struct MemoryArchive(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    entries: Vec<Entry>,
    by_id: HashMap<DeliveryId, usize>,
    firsts: HashMap<Fingerprint, DeliveryId>,
    /// What was processed as an inference, and last as one of its key.
    processed: HashMap<InferenceDigest, DeliveryId>,
    latest: HashMap<[u8; 12], (usize, DeliveryId)>,
}

struct Entry {
    /// `None` once it was removed.
    delivery: Option<Delivery>,
    outcome: Option<Outcome>,
}

impl Entry {
    /// Whether a repeat of it can be answered: its bytes are there, or are not needed any more.
    fn stands(&self) -> bool {
        self.delivery.is_some() || self.outcome.as_ref().is_some_and(Outcome::is_settled)
    }

    fn archived(&self) -> Option<Archived> {
        Some(Archived::new(self.delivery.clone()?, self.outcome.clone()))
    }
}

impl MemoryArchive {
    /// An empty archive. Its clones share what they hold.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn append(&mut self, delivery: Delivery) -> Receipt {
        let fingerprint = delivery.fingerprint();
        let first = self.firsts.get(&fingerprint).copied();
        if let Some(first) = first.filter(|id| self.get(*id).is_some_and(Entry::stands)) {
            return Receipt::repeat(first);
        }
        let id = delivery.id();
        self.firsts.insert(fingerprint, id);
        self.by_id.insert(id, self.entries.len());
        self.entries.push(Entry { delivery: Some(delivery), outcome: None });
        Receipt::fresh(id)
    }

    fn get(&self, id: DeliveryId) -> Option<&Entry> {
        self.entries.get(*self.by_id.get(&id)?)
    }

    fn settle(&mut self, id: DeliveryId, outcome: Outcome) -> Result<(), ArchiveError> {
        let place = *self.by_id.get(&id).ok_or(ArchiveError::Unknown { id })?;
        let entry = self.entries.get_mut(place).ok_or(ArchiveError::Unknown { id })?;
        if let Outcome::Processed { inference: Some(inference), .. } = &outcome {
            self.processed.insert(*inference, id);
            let latest = self.latest.entry(inference.key()).or_insert((place, id));
            *latest = (place, id).max(*latest);
        }
        entry.outcome = Some(outcome);
        Ok(())
    }

    fn processed_as(&self, inference: InferenceDigest) -> Option<(DeliveryId, Outcome)> {
        let latest = || self.latest.get(&inference.key()).map(|(_, id)| id);
        let id = *self.processed.get(&inference).or_else(latest)?;
        Some((id, self.get(id)?.outcome.clone()?))
    }

    fn selected(&self, query: &Query) -> Vec<Archived> {
        let all = self.entries.iter().filter_map(Entry::archived);
        all.filter(|archived| query.selects(archived)).collect()
    }

    fn remove(&mut self, query: &Query) -> u64 {
        let selected =
            |entry: &Entry| entry.archived().is_some_and(|archived| query.selects(&archived));
        let mut removed = 0;
        for entry in self.entries.iter_mut().filter(|entry| selected(entry)) {
            entry.delivery = None;
            removed += 1;
        }
        removed
    }
}

impl Archive for MemoryArchive {
    fn append(&self, delivery: Delivery) -> Work<Receipt> {
        Box::pin(ready(Ok(self.state().append(delivery))))
    }

    fn settle(&self, id: DeliveryId, outcome: Outcome) -> Work<()> {
        Box::pin(ready(self.state().settle(id, outcome)))
    }

    fn outcome(&self, id: DeliveryId) -> Work<Option<Outcome>> {
        let outcome = self.state().get(id).and_then(|entry| entry.outcome.clone());
        Box::pin(ready(Ok(outcome)))
    }

    fn get(&self, id: DeliveryId) -> Work<Option<Archived>> {
        Box::pin(ready(Ok(self.state().get(id).and_then(Entry::archived))))
    }

    fn scan(&self, query: Query) -> Entries {
        entries(self.state().selected(&query))
    }

    fn ledger(&self, query: Query) -> Entries<Line> {
        let lines = self.state().selected(&query).into_iter().map(|archived| {
            let Archived { delivery, outcome } = archived;
            Line::new(delivery.id(), delivery.model().clone(), delivery.received_at(), outcome)
        });
        entries(lines.collect())
    }

    fn processed_as(&self, inference: InferenceDigest) -> Work<Option<(DeliveryId, Outcome)>> {
        Box::pin(ready(Ok(self.state().processed_as(inference))))
    }

    fn remove(&self, query: Query) -> Work<u64> {
        Box::pin(ready(Ok(self.state().remove(&query))))
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
        f.debug_struct("MemoryArchive").field("deliveries", &self.state().entries.len()).finish()
    }
}
