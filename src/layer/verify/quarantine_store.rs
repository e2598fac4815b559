//! The archive of a quarantine, and the index that decides which deliveries are removed when it is full.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::sync::OnceCell;

use crate::{
    archive::{Acquire, Append, Archive, ArchiveError, Capacity, Query},
    delivery::{Delivery, DeliveryId, Outcome},
};

pub(super) struct QuarantineStore {
    archive: Box<dyn Archive>,
    /// Built on first use. None if the archive limits itself, because other processes may use it, too.
    index: OnceCell<Option<Mutex<QuarantineIndex>>>,
}

/// Returns true if these deliveries fit.
pub(super) fn holds(capacity: Capacity, deliveries: usize, bytes: usize) -> bool {
    deliveries <= capacity.deliveries && bytes <= capacity.bytes
}

/// The size to which a full quarantine is trimmed: seven eighths. Each removal is expensive, so deliveries are not
/// removed one by one.
fn after_trim(capacity: Capacity) -> Capacity {
    let trimmed = |limit: usize| limit - limit / 8;
    Capacity { deliveries: trimmed(capacity.deliveries), bytes: trimmed(capacity.bytes) }
}

impl QuarantineStore {
    pub(super) fn new(archive: Box<dyn Archive>) -> Self {
        Self { archive, index: OnceCell::new() }
    }

    pub(super) fn archive(&self) -> &dyn Archive {
        &*self.archive
    }

    /// Stores a delivery, and removes the oldest ones if the capacity is exceeded.
    pub(super) async fn store(
        &self,
        delivery: Delivery,
        capacity: Capacity,
    ) -> Result<(), ArchiveError> {
        // The index is built before the delivery is appended, so that it is not counted twice.
        drop(self.index().await?);
        let (received_at, bytes) = (delivery.received_at(), delivery.body().len());
        let receipt = self.archive.append(Append::new(delivery)).await?.receipt;
        if receipt.is_repeat() {
            return Ok(());
        }
        let remove_before = self.index().await?.map(|mut index| {
            index.add(received_at, receipt.id(), bytes);
            index.trim(capacity)
        });
        let removed = match remove_before {
            None => self.archive.trim(capacity, after_trim(capacity)).await?.unwrap_or(0),
            Some(None) => 0,
            Some(Some(before)) => self.archive.remove(Query::all().before(before)).await?,
        };
        if removed > 0 {
            tracing::info!(removed, "the quarantine is full; removed the oldest deliveries");
        }
        Ok(())
    }

    /// Marks a delivery for removal by [`remove_settled`](Self::remove_settled).
    pub(super) async fn settle(
        &self,
        received_at: SystemTime,
        id: DeliveryId,
    ) -> Result<(), ArchiveError> {
        if let Some(lease) = self.archive.acquire(Acquire::new(id)).await?.lease {
            self.archive.settle(lease, Outcome::processed(200), Duration::ZERO).await?;
        }
        if let Some(mut index) = self.index().await? {
            index.remove(received_at, id);
        }
        Ok(())
    }

    pub(super) async fn remove_settled(&self) -> Result<(), ArchiveError> {
        self.archive.remove(Query::all().settled()).await.map(drop)
    }

    async fn index(&self) -> Result<Option<MutexGuard<'_, QuarantineIndex>>, ArchiveError> {
        let index = self.index.get_or_try_init(|| self.build_index()).await?.as_ref();
        Ok(index.map(|index| index.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    async fn build_index(&self) -> Result<Option<Mutex<QuarantineIndex>>, ArchiveError> {
        // Without a limit, it only tests whether the archive supports it.
        if self.archive.trim(Capacity::UNLIMITED, Capacity::UNLIMITED).await?.is_some() {
            return Ok(None);
        }
        let mut index = QuarantineIndex::default();
        let mut entries = self.archive.scan(Query::all().pending());
        while let Some(entry) = entries.next().await {
            match entry {
                Ok(archived) => {
                    let delivery = archived.delivery;
                    index.add(delivery.received_at(), delivery.id(), delivery.body().len());
                }
                // One damaged delivery must not prevent storing others.
                Err(error @ ArchiveError::Damaged { .. }) => log_damaged(&error),
                Err(error) => return Err(error),
            }
        }
        Ok(Some(Mutex::new(index)))
    }
}

fn log_damaged(error: &ArchiveError) {
    let error = error as &dyn std::error::Error;
    tracing::error!(error, "a delivery in the quarantine cannot be read");
}

/// The deliveries in a quarantine with their lengths, by the time of receipt.
#[derive(Debug, Default)]
struct QuarantineIndex {
    deliveries: BTreeMap<(SystemTime, DeliveryId), usize>,
    bytes: usize,
}

impl QuarantineIndex {
    fn add(&mut self, received_at: SystemTime, id: DeliveryId, bytes: usize) {
        if self.deliveries.insert((received_at, id), bytes).is_none() {
            self.bytes += bytes;
        }
    }

    fn remove(&mut self, received_at: SystemTime, id: DeliveryId) {
        self.bytes -= self.deliveries.remove(&(received_at, id)).unwrap_or(0);
    }

    /// If the capacity is exceeded, removes the oldest deliveries, and returns the time before which all deliveries
    /// have to be removed from the archive. The newest one stays: alone it fits.
    fn trim(&mut self, capacity: Capacity) -> Option<SystemTime> {
        if holds(capacity, self.deliveries.len(), self.bytes) {
            return None;
        }
        let target = after_trim(capacity);
        let mut last = None;
        while let Some(oldest) = self.oldest() {
            let fits =
                holds(target, self.deliveries.len(), self.bytes) || self.deliveries.len() == 1;
            // A query by time cannot distinguish deliveries of the same instant: they are removed together.
            if fits && last != Some(oldest) {
                return Some(oldest);
            }
            self.remove_oldest();
            last = Some(oldest);
        }
        last.and_then(|last| last.checked_add(Duration::from_micros(1)))
    }

    fn oldest(&self) -> Option<SystemTime> {
        self.deliveries.first_key_value().map(|((received_at, _), _)| *received_at)
    }

    fn remove_oldest(&mut self) {
        if let Some((_, bytes)) = self.deliveries.pop_first() {
            self.bytes -= bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn add(
        index: &mut QuarantineIndex,
        received_at: SystemTime,
        bytes: usize,
        capacity: Capacity,
    ) -> Option<SystemTime> {
        index.add(received_at, DeliveryId::new(), bytes);
        index.trim(capacity)
    }

    #[test]
    fn too_many_deliveries_are_trimmed_by_an_eighth() {
        let mut index = QuarantineIndex::default();
        let capacity = Capacity { deliveries: 16, bytes: 1000 };
        for number in 0..16 {
            assert_eq!(add(&mut index, at(number), 1, capacity), None);
        }
        let trimmed = add(&mut index, at(16), 1, capacity);
        assert_eq!(trimmed, Some(at(3)), "fourteen of seventeen stay");
        assert_eq!(add(&mut index, at(17), 1, capacity), None);
    }

    #[test]
    fn too_many_bytes_remove_the_oldest_deliveries_in_any_order_of_arrival() {
        let mut index = QuarantineIndex::default();
        let capacity = Capacity { deliveries: 16, bytes: 80 };
        assert_eq!(add(&mut index, at(2), 30, capacity), None);
        assert_eq!(add(&mut index, at(3), 30, capacity), None);
        assert_eq!(add(&mut index, at(1), 30, capacity), Some(at(2)));
        assert_eq!(index.bytes, 60);
    }

    #[test]
    fn newest_delivery_stays_even_if_it_takes_nearly_the_whole_capacity() {
        let mut index = QuarantineIndex::default();
        let capacity = Capacity { deliveries: 16, bytes: 80 };
        for second in 1..5 {
            let remove_before = add(&mut index, at(second), 79, capacity);
            assert_eq!(remove_before, (second > 1).then(|| at(second)));
            assert_eq!((index.deliveries.len(), index.bytes), (1, 79));
        }
    }

    #[test]
    fn deliveries_of_the_same_instant_are_removed_together() {
        let mut index = QuarantineIndex::default();
        let capacity = Capacity { deliveries: 2, bytes: 80 };
        for _ in 0..2 {
            assert_eq!(add(&mut index, at(1), 1, capacity), None);
        }
        assert_eq!(add(&mut index, at(2), 1, capacity), Some(at(2)));
        assert_eq!(index.deliveries.len(), 1);
        add(&mut index, at(2), 1, capacity);
        let remove_before = add(&mut index, at(2), 1, capacity);
        assert!(remove_before > Some(at(2)), "there is nothing else to remove");
        assert_eq!((index.deliveries.len(), index.bytes), (0, 0));
    }

    #[test]
    fn removed_delivery_does_not_count() {
        let mut index = QuarantineIndex::default();
        let (first, second) = (DeliveryId::new(), DeliveryId::new());
        index.add(at(1), first, 10);
        index.add(at(1), second, 20);
        index.remove(at(1), first);
        index.remove(at(1), first);
        assert_eq!((index.deliveries.len(), index.bytes), (1, 20));
    }
}
