use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::sync::OnceCell;

use super::{cap::Cap, kept::Kept};
use crate::{
    archive::{Acquire, Append, Archive, ArchiveError, Query},
    delivery::{Delivery, DeliveryId, Outcome},
};

/// The archive of a quarantine, and what is in it.
pub(super) struct Store {
    archive: Box<dyn Archive>,
    /// Counted when it is first needed.
    kept: OnceCell<Mutex<Kept>>,
}

impl Store {
    pub(super) fn new(archive: Box<dyn Archive>) -> Self {
        Self { archive, kept: OnceCell::new() }
    }

    pub(super) fn archive(&self) -> &dyn Archive {
        &*self.archive
    }

    /// Takes a delivery in, and removes the oldest if that is too much.
    pub(super) async fn keep(&self, delivery: Delivery, cap: Cap) -> Result<(), ArchiveError> {
        // Counted before it comes in, and not with it.
        drop(self.kept().await?);
        let (received_at, bytes) = (delivery.received_at(), delivery.body().len());
        let receipt = self.archive.append(Append::new(delivery)).await?.receipt;
        if receipt.is_repeat() {
            return Ok(());
        }
        let too_old = {
            let mut kept = self.kept().await?;
            kept.add(received_at, receipt.id(), bytes);
            kept.trim(cap)
        };
        if let Some(before) = too_old {
            let removed = self.archive.remove(Query::all().before(before)).await?;
            tracing::info!(removed, "the quarantine is full: the oldest are gone");
        }
        Ok(())
    }

    pub(super) async fn let_go(
        &self,
        received_at: SystemTime,
        id: DeliveryId,
    ) -> Result<(), ArchiveError> {
        if let Some(lease) = self.archive.acquire(Acquire::new(id)).await?.lease {
            self.archive.settle(lease, Outcome::processed(200), Duration::ZERO).await?;
        }
        self.kept().await?.forget(received_at, id);
        Ok(())
    }

    pub(super) async fn clear(&self) -> Result<(), ArchiveError> {
        self.archive.remove(Query::all().settled()).await.map(drop)
    }

    async fn kept(&self) -> Result<MutexGuard<'_, Kept>, ArchiveError> {
        let kept = self.kept.get_or_try_init(|| self.count()).await?;
        Ok(kept.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn count(&self) -> Result<Mutex<Kept>, ArchiveError> {
        let (mut kept, mut entries) = (Kept::default(), self.archive.scan(Query::all().pending()));
        while let Some(entry) = entries.next().await {
            match entry {
                Ok(archived) => {
                    let delivery = archived.delivery;
                    kept.add(delivery.received_at(), delivery.id(), delivery.body().len());
                }
                // One that cannot be read is no reason to keep no others.
                Err(error @ ArchiveError::Damaged { .. }) => tell_damage(&error),
                Err(error) => return Err(error),
            }
        }
        Ok(Mutex::new(kept))
    }
}

fn tell_damage(error: &ArchiveError) {
    let error = error as &dyn std::error::Error;
    tracing::error!(error, "a delivery in the quarantine cannot be read");
}
