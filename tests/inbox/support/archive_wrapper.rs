//! Archives with some operations overridden.

use std::{fmt, time::Duration};

use tower_inbox::{
    Archive, Counts, DeliveryId, Outcome,
    archive::{
        Acquire, Acquired, Append, Appended, ArchiveHealth, Archived, Begun, Claim, Claimed,
        Entries, Lease, LedgerEntry, Query, Release, StateChange, StorageUsage, Work,
    },
    delivery::{InferenceDigest, ModelName, State},
};

/// The operations of an archive. The default implementations delegate to [`inner`](Self::inner).
pub(crate) trait Overrides: fmt::Debug + Send + Sync + 'static {
    fn inner(&self) -> &dyn Archive;

    fn append(&self, append: Append) -> Work<Appended> {
        self.inner().append(append)
    }

    fn claim(&self, claim: Claim) -> Work<Claimed> {
        self.inner().claim(claim)
    }

    fn renew(&self, leases: Vec<Lease>, length: Duration) -> Work<Vec<DeliveryId>> {
        self.inner().renew(leases, length)
    }

    fn settle(&self, lease: Lease, outcome: Outcome, retry_in: Duration) -> Work<()> {
        self.inner().settle(lease, outcome, retry_in)
    }

    fn get(&self, id: DeliveryId) -> Work<Option<Archived>> {
        self.inner().get(id)
    }

    fn scan(&self, query: Query) -> Entries {
        self.inner().scan(query)
    }

    fn ledger(&self, query: Query) -> Entries<LedgerEntry> {
        self.inner().ledger(query)
    }

    fn counts(&self) -> Work<Counts> {
        self.inner().counts()
    }

    fn usage(&self) -> Work<Option<StorageUsage>> {
        self.inner().usage()
    }

    fn health(&self) -> Work<ArchiveHealth> {
        self.inner().health()
    }
}

/// An archive with some operations overridden.
#[derive(Clone, Debug)]
pub(crate) struct Overridden<T>(pub(crate) T);

impl<T> fmt::Display for Overridden<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("overridden")
    }
}

impl<T: Overrides> Archive for Overridden<T> {
    fn append(&self, append: Append) -> Work<Appended> {
        self.0.append(append)
    }

    fn claim(&self, claim: Claim) -> Work<Claimed> {
        self.0.claim(claim)
    }

    fn acquire(&self, acquire: Acquire) -> Work<Acquired> {
        self.0.inner().acquire(acquire)
    }

    fn renew(&self, leases: Vec<Lease>, length: Duration) -> Work<Vec<DeliveryId>> {
        self.0.renew(leases, length)
    }

    fn settle(&self, lease: Lease, outcome: Outcome, retry_in: Duration) -> Work<()> {
        self.0.settle(lease, outcome, retry_in)
    }

    fn release(&self, lease: Lease, release: Release) -> Work<()> {
        self.0.inner().release(lease, release)
    }

    fn begin(&self, lease: Lease, inference: InferenceDigest) -> Work<Begun> {
        self.0.inner().begin(lease, inference)
    }

    fn retry(&self, query: Query) -> Work<u64> {
        self.0.inner().retry(query)
    }

    fn remove(&self, query: Query) -> Work<u64> {
        self.0.inner().remove(query)
    }

    fn state(&self, id: DeliveryId) -> Work<Option<State>> {
        self.0.inner().state(id)
    }

    fn get(&self, id: DeliveryId) -> Work<Option<Archived>> {
        self.0.get(id)
    }

    fn history(&self, id: DeliveryId) -> Work<Option<Vec<StateChange>>> {
        self.0.inner().history(id)
    }

    fn scan(&self, query: Query) -> Entries {
        self.0.scan(query)
    }

    fn ledger(&self, query: Query) -> Entries<LedgerEntry> {
        self.0.ledger(query)
    }

    fn set_paused(&self, model: ModelName, paused: bool) -> Work<()> {
        self.0.inner().set_paused(model, paused)
    }

    fn paused(&self) -> Work<Vec<ModelName>> {
        self.0.inner().paused()
    }

    fn counts(&self) -> Work<Counts> {
        self.0.counts()
    }

    fn usage(&self) -> Work<Option<StorageUsage>> {
        self.0.usage()
    }

    fn health(&self) -> Work<ArchiveHealth> {
        self.0.health()
    }
}
