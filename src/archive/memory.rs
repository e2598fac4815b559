use std::{
    collections::HashMap,
    fmt,
    future::ready,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::mpsc;

use super::{Archive, ArchiveError, Archived, Entries, Query, Work};
use crate::delivery::{Delivery, DeliveryId, Digest, ModelName, Outcome, Receipt};

/// Keeps deliveries in memory: **nothing survives the process**. For tests and for measuring what a disk costs.
///
/// Bounded by nothing but the memory of the machine.
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
    by_bytes: HashMap<(ModelName, Digest), DeliveryId>,
}

struct Entry {
    /// `None` once it was removed.
    delivery: Option<Delivery>,
    outcome: Option<Outcome>,
}

impl Entry {
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
        let bytes = (delivery.model().clone(), delivery.digest());
        if let Some(first) = self.by_bytes.get(&bytes) {
            return Receipt::repeat(*first);
        }
        let id = delivery.id();
        self.by_bytes.insert(bytes, id);
        self.by_id.insert(id, self.entries.len());
        self.entries.push(Entry { delivery: Some(delivery), outcome: None });
        Receipt::fresh(id)
    }

    fn get(&self, id: DeliveryId) -> Option<&Entry> {
        self.entries.get(*self.by_id.get(&id)?)
    }

    fn settle(&mut self, id: DeliveryId, outcome: Outcome) -> Result<(), ArchiveError> {
        let place = self.by_id.get(&id).and_then(|place| self.entries.get_mut(*place));
        place.ok_or(ArchiveError::Unknown { id })?.outcome = Some(outcome);
        Ok(())
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
        let found = self.state().selected(&query);
        let (sender, receiver) = mpsc::channel(found.len().max(1));
        for archived in found {
            // There is room for each, and the receiver is still here.
            let _ = sender.try_send(Ok(archived));
        }
        Entries::from_channel(receiver)
    }

    fn remove(&self, query: Query) -> Work<u64> {
        Box::pin(ready(Ok(self.state().remove(&query))))
    }
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
