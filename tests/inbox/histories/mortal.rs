//! An archive whose process can crash, stall, and takes its time.

use std::{
    fmt,
    future::pending,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep, sleep_until};
use tower_inbox::{
    Archive, Counts, DeliveryId, Outcome,
    archive::{
        Acquire, Acquired, Append, Appended, ArchiveError, Archived, Begun, Claim, Claimed,
        Entries, Lease, LedgerEntry, Query, Release, Work,
    },
    delivery::{InferenceDigest, State},
};

use super::world::{Shared, World};

/// From a crash on nothing reaches the archive, and nobody gets an answer.
#[derive(Clone, Debug)]
pub(super) struct Mortal {
    pub(super) archive: Arc<dyn Archive>,
    pub(super) alive: Arc<AtomicBool>,
    pub(super) shared: Shared,
    /// None for a disk, which takes its own time.
    pub(super) delay: Option<Duration>,
    /// Nothing gets through until then.
    pub(super) stalled: Arc<Mutex<Option<Instant>>>,
}

type Result<T> = std::result::Result<T, ArchiveError>;

impl Mortal {
    fn is_alive(&self) -> bool {
        self.alive.load(Ordering::SeqCst)
    }

    /// Between asking and being answered, others have their turn.
    async fn wait(&self, late: Duration) {
        if let Some(delay) = self.delay {
            sleep(delay).await;
            let stalled = *self.stalled.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(end) = stalled.filter(|end| *end > Instant::now()) {
                sleep_until(end + late).await;
            }
        }
    }

    fn call<T: Send + 'static>(
        &self,
        late: Duration,
        operation: impl FnOnce(&dyn Archive) -> Work<T> + Send + 'static,
        seen: impl FnOnce(&mut World, &Result<T>) + Send + 'static,
    ) -> Work<T> {
        if !self.is_alive() {
            return Box::pin(pending());
        }
        let this = self.clone();
        // A disk begins with the call, the archive in memory after the delay.
        let (begun, operation) = match self.delay {
            None => (Some(operation(&*self.archive)), None),
            Some(_) => (None, Some(operation)),
        };
        Box::pin(async move {
            this.wait(late).await;
            if !this.is_alive() {
                return pending().await;
            }
            let work = begun.or_else(|| operation.map(|operation| operation(&*this.archive)));
            let result = work.unwrap().await;
            if !this.is_alive() {
                return pending().await;
            }
            seen(&mut this.shared.world(), &result);
            result
        })
    }

    fn plain<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&dyn Archive) -> Work<T> + Send + 'static,
    ) -> Work<T> {
        self.call(Duration::ZERO, operation, |_, _| {})
    }
}

impl fmt::Display for Mortal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("mortal")
    }
}

impl Archive for Mortal {
    fn append(&self, append: Append) -> Work<Appended> {
        let delivery = append.delivery();
        if self.is_alive() {
            self.shared.world().appending(delivery.id(), delivery.body());
        }
        self.call(
            Duration::ZERO,
            move |archive| archive.append(append),
            |world, result| {
                if let Ok(Appended { receipt, lease, .. }) = result {
                    world.appended(receipt.id());
                    lease.iter().for_each(|lease| world.leased(*lease));
                }
            },
        )
    }

    fn claim(&self, claim: Claim) -> Work<Claimed> {
        self.call(
            Duration::ZERO,
            move |archive| archive.claim(claim),
            |world, result| {
                let leases = result.iter().flat_map(|claimed| &claimed.leases);
                leases.for_each(|(_, lease)| world.leased(*lease));
            },
        )
    }

    fn acquire(&self, acquire: Acquire) -> Work<Acquired> {
        self.call(
            Duration::ZERO,
            move |archive| archive.acquire(acquire),
            |world, result| {
                let lease = result.as_ref().ok().and_then(|acquired| acquired.lease);
                lease.into_iter().for_each(|lease| world.leased(lease));
            },
        )
    }

    fn renew(&self, leases: Vec<Lease>, length: Duration) -> Work<Vec<DeliveryId>> {
        self.plain(move |archive| archive.renew(leases, length))
    }

    fn settle(&self, lease: Lease, outcome: Outcome, retry_in: Duration) -> Work<()> {
        if self.is_alive() {
            self.shared.world().settling(&lease);
        }
        let recorded = outcome.clone();
        // After a stall, others have leased the delivery by then.
        self.call(
            Duration::from_secs(5),
            move |archive| archive.settle(lease, outcome, retry_in),
            move |world, result| {
                if result.is_ok() {
                    world.settled(lease.id(), &recorded);
                }
            },
        )
    }

    /// At once, also in memory: when a runtime ends, nobody is left to wait for it.
    fn release(&self, lease: Lease, release: Release) -> Work<()> {
        if !self.is_alive() {
            return Box::pin(pending());
        }
        self.shared.world().ending(&lease);
        self.archive.release(lease, release)
    }

    fn begin(&self, lease: Lease, inference: InferenceDigest) -> Work<Begun> {
        self.plain(move |archive| archive.begin(lease, inference))
    }

    fn retry(&self, query: Query) -> Work<u64> {
        if self.is_alive() {
            self.shared.world().retrying();
        }
        self.plain(move |archive| archive.retry(query))
    }

    fn remove(&self, query: Query) -> Work<u64> {
        let removal = self.shared.world().removing(query.clone());
        self.call(
            Duration::ZERO,
            move |archive| archive.remove(query),
            move |_, result| {
                if result.is_ok() {
                    removal.done();
                }
            },
        )
    }

    fn state(&self, id: DeliveryId) -> Work<Option<State>> {
        self.plain(move |archive| archive.state(id))
    }

    fn get(&self, id: DeliveryId) -> Work<Option<Archived>> {
        self.plain(move |archive| archive.get(id))
    }

    fn scan(&self, query: Query) -> Entries {
        self.archive.scan(query)
    }

    fn ledger(&self, query: Query) -> Entries<LedgerEntry> {
        self.archive.ledger(query)
    }

    fn counts(&self) -> Work<Counts> {
        self.plain(|archive| archive.counts())
    }
}
