//! Tests of the archives of this crate through their public API.
#![cfg(all(feature = "disk", feature = "testing"))]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test says so by panicking"
)]

mod backup;
mod concurrent_readers;
mod conformance;
mod corruption;
mod crashes;
mod damaged;
mod decisions;
mod faults;
mod forgetting;
mod golden;
mod heads;
mod maintenance;
mod missing_segments;
mod read_only;
mod removed_files;
mod removing;
mod reopening;
mod repeats;

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Duration,
};

use tower_inbox::{
    archive::{Acquire, Append, Archive, ArchiveError, Archived, Begun, DiskArchive, Query, Work},
    delivery::{Delivery, DeliveryId, InferenceDigest, Outcome, Receipt},
    testing::Sample,
};

/// Shorthands for frequent operations.
trait Short {
    /// Appends without a lease.
    fn put(&self, delivery: Delivery) -> Work<Receipt>;

    /// Leases a delivery and settles it.
    async fn finish(&self, id: DeliveryId, outcome: Outcome) -> Result<(), ArchiveError>;

    /// Returns the outcome of a delivery, if it has one.
    async fn outcome(&self, id: DeliveryId) -> Result<Option<Outcome>, ArchiveError>;

    /// Returns the delivery that was processed as this inference, as reported to the next one.
    async fn processed_as(&self, inference: InferenceDigest) -> Option<DeliveryId>;
}

impl Short for DiskArchive {
    fn put(&self, delivery: Delivery) -> Work<Receipt> {
        let work = self.append(Append::new(delivery));
        Box::pin(async { Ok(work.await?.receipt) })
    }

    async fn finish(&self, id: DeliveryId, outcome: Outcome) -> Result<(), ArchiveError> {
        let acquired = self.acquire(Acquire::new(id).reviving()).await?;
        let lease = acquired.lease.ok_or_else(|| ArchiveError::lease_lost(id))?;
        self.settle(lease, outcome, Duration::ZERO).await
    }

    async fn outcome(&self, id: DeliveryId) -> Result<Option<Outcome>, ArchiveError> {
        Ok(self.state(id).await?.and_then(|state| state.outcome().cloned()))
    }

    async fn processed_as(&self, inference: InferenceDigest) -> Option<DeliveryId> {
        let next = delivery("/next", DeliveryId::new().as_bytes());
        let leased = Append::new(next.clone()).leased_for(Duration::from_secs(60));
        let lease = self.append(leased).await.unwrap().lease.unwrap();
        let begun = self.begin(lease, inference).await.unwrap();
        self.settle(lease, Outcome::dead("by the test"), Duration::ZERO).await.unwrap();
        self.remove(Query::all().id(next.id())).await.unwrap();
        match begun {
            Begun::Processed { of, .. } => Some(of),
            _ => None,
        }
    }
}

fn delivery(model: &str, body: &[u8]) -> Delivery {
    Sample::of(model).body(body.to_vec()).delivery()
}

/// Returns all deliveries of an archive, in its order, and drops the archive.
async fn all_in(archive: DiskArchive) -> Vec<Archived> {
    let mut entries = archive.scan(Query::all());
    let mut found = Vec::new();
    while let Some(entry) = entries.next().await {
        found.push(entry.unwrap());
    }
    found
}

async fn deliveries_in(path: &Path) -> Vec<Delivery> {
    let found = all_in(DiskArchive::open(path).await.unwrap()).await;
    found.into_iter().map(|archived| archived.delivery).collect()
}

/// Returns the readable deliveries of an archive, and the number of reported damages.
async fn readable_in(path: &Path) -> (Vec<Delivery>, usize) {
    let archive = DiskArchive::open(path).await.unwrap();
    let (mut entries, mut found, mut damages) = (archive.scan(Query::all()), Vec::new(), 0);
    while let Some(entry) = entries.next().await {
        match entry {
            Ok(archived) => found.push(archived.delivery),
            Err(ArchiveError::Damaged { .. }) => damages += 1,
            Err(error) => panic!("{error}"),
        }
    }
    (found, damages)
}

/// Returns true if exhaustive tests run many of their cases: if `INBOX_LONG_TESTS` is set, as in CI.
fn long_tests() -> bool {
    std::env::var_os("INBOX_LONG_TESTS").is_some()
}

/// Returns the step between the cases of an exhaustive test: `step`, or the number in `INBOX_LONG_TESTS` if that is less.
fn stride(step: usize) -> usize {
    match std::env::var("INBOX_LONG_TESTS") {
        Ok(given) => step.min(given.parse::<NonZeroUsize>().unwrap().get()),
        Err(_) => step,
    }
}

/// Returns the segments of an archive, in the order of the log.
fn segments(path: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(path).unwrap().map(|file| file.unwrap().path());
    let mut segments: Vec<_> =
        files.filter(|file| file.to_string_lossy().contains(".warc")).collect();
    segments.sort();
    segments
}
