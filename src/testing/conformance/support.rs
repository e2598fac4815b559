//! Support for all checks: a separate model on the archive under test, and functions that run operations concurrently.
#![expect(clippy::panic, reason = "the suite reports a violation by panicking")]

use std::{
    fmt::Debug, future::poll_fn, panic::resume_unwind, pin::Pin, sync::Barrier, task::Poll, thread,
    time::Duration,
};

use tokio::runtime::Handle;

use super::super::Sample;
use crate::{
    archive::{
        Acquire, Acquired, Append, Appended, Archive, Begun, Claim, Claimed, Entries, Lease, Query,
        Release, Work,
    },
    delivery::{
        Delivery, DeliveryId, Digest, InferenceDigest, InferenceId, InferenceKey, ModelName,
        Outcome, State,
    },
};

/// The duration of a lease: longer than any check.
pub(super) const LEASE: Duration = Duration::from_secs(10 * 60);
/// A delay after which a delivery is not due during the suite.
pub(super) const LATER: Duration = Duration::from_secs(60 * 60);
pub(super) const NOW: Duration = Duration::ZERO;

/// An archive under test, and a model that no other check uses, so that the suite can run repeatedly on one archive.
#[derive(Clone)]
pub(super) struct Fixture<'a> {
    pub(super) archive: &'a dyn Archive,
    pub(super) model: ModelName,
}

impl<'a> Fixture<'a> {
    pub(super) fn new(archive: &'a dyn Archive) -> Self {
        let name = format!("/conformance/{}", DeliveryId::new());
        match name.parse() {
            Ok(model) => Self { archive, model },
            Err(error) => panic!("{name}: {error}"),
        }
    }

    pub(super) fn sample(&self, body: &str) -> Sample {
        Sample::of(&self.model.to_string()).body(body.to_owned())
    }

    pub(super) fn query(&self) -> Query {
        Query::all().model(self.model.clone())
    }

    /// Returns the digest of inference `id` in `version`, received as `bytes`.
    pub(super) fn inference(&self, id: &str, version: &str, bytes: &str) -> InferenceDigest {
        InferenceDigest::of(
            &self.model,
            &InferenceKey::versioned(id, version),
            Digest::of(bytes.as_bytes()),
        )
    }

    pub(super) fn inference_id(&self, id: &str) -> InferenceId {
        InferenceId::of(&self.model, id)
    }

    pub(super) async fn append(&self, delivery: &Delivery) -> Appended {
        done("append", self.archive.append(Append::new(delivery.clone()))).await
    }

    pub(super) async fn append_leased(&self, delivery: &Delivery) -> Appended {
        let append = Append::new(delivery.clone()).leased_for(LEASE);
        done("append with a lease", self.archive.append(append)).await
    }

    /// Appends a delivery and returns its id.
    pub(super) async fn pending(&self, body: &str) -> DeliveryId {
        let delivery = self.sample(body).delivery();
        let appended = self.append(&delivery).await;
        assert_eq!(appended.receipt.id(), delivery.id(), "new bytes are stored as a new delivery");
        delivery.id()
    }

    /// Appends a delivery and returns its lease.
    pub(super) async fn leased(&self, body: &str) -> Lease {
        let appended = self.append_leased(&self.sample(body).delivery()).await;
        let Some(lease) = appended.lease else {
            panic!("a new delivery is leased if the caller asks for it, not {appended:?}");
        };
        lease
    }

    /// Appends a delivery and settles it.
    pub(super) async fn settled(&self, body: &str, outcome: Outcome) -> DeliveryId {
        let lease = self.leased(body).await;
        self.settle(lease, outcome).await;
        lease.id()
    }

    /// Leases a delivery and settles it.
    pub(super) async fn settle_acquired(&self, id: DeliveryId, outcome: Outcome) {
        let acquired = self.acquire(Acquire::new(id)).await;
        let Some(lease) = acquired.lease else {
            panic!("a delivery that is not settled is leased by its id, not {acquired:?}");
        };
        self.settle(lease, outcome).await;
    }

    pub(super) async fn settle(&self, lease: Lease, outcome: Outcome) {
        done("settle under a lease", self.archive.settle(lease, outcome, NOW)).await;
    }

    pub(super) async fn release(&self, lease: Lease, release: Release) {
        done("release a lease", self.archive.release(lease, release)).await;
    }

    pub(super) async fn begin(&self, lease: Lease, inference: InferenceDigest) -> Begun {
        done("begin an inference", self.archive.begin(lease, inference)).await
    }

    pub(super) fn wants(&self, limit: usize) -> Claim {
        Claim::new(vec![(self.model.clone(), limit)], limit).leased_for(LEASE)
    }

    pub(super) async fn claimed(&self, limit: usize) -> Claimed {
        done("claim", self.archive.claim(self.wants(limit))).await
    }

    pub(super) async fn claim(&self, limit: usize) -> Vec<Lease> {
        leases(&self.claimed(limit).await)
    }

    /// Claims the only delivery that is due.
    pub(super) async fn claim_one(&self, why: &str) -> Lease {
        match self.claim(9).await.as_slice() {
            [lease] => *lease,
            other => panic!("{why}: one delivery is due, and {} were claimed", other.len()),
        }
    }

    pub(super) async fn acquire(&self, acquire: Acquire) -> Acquired {
        done("acquire", self.archive.acquire(acquire.leased_for(LEASE))).await
    }

    /// Returns true if the lease is still valid.
    pub(super) async fn is_valid(&self, lease: Lease) -> bool {
        done("renew", self.archive.renew(vec![lease], LEASE)).await.is_empty()
    }

    pub(super) async fn state(&self, id: DeliveryId) -> State {
        match done("read a state", self.archive.state(id)).await {
            Some(state) => state,
            None => panic!("delivery {id} was appended and has no state"),
        }
    }

    pub(super) async fn has_body(&self, id: DeliveryId) -> bool {
        done("get", self.archive.get(id)).await.is_some()
    }

    pub(super) async fn retry(&self, query: Query) -> u64 {
        done("retry", self.archive.retry(query)).await
    }

    pub(super) async fn remove(&self, query: Query) -> u64 {
        done("remove", self.archive.remove(query)).await
    }

    pub(super) async fn scan(&self, query: Query) -> Vec<Delivery> {
        let found = all(self.archive.scan(query)).await;
        found.into_iter().map(|archived| archived.delivery).collect()
    }

    /// Returns the ids that a scan finds, and asserts that the ledger finds the same.
    pub(super) async fn ids(&self, query: Query) -> Vec<DeliveryId> {
        let scanned: Vec<_> = all(self.archive.scan(query.clone())).await;
        let ledger = all(self.archive.ledger(query.clone())).await;
        let latest = done("latest", self.archive.latest(query, 2)).await;
        let expected: Vec<_> = ledger.iter().rev().take(2).cloned().collect();
        assert_eq!(latest, expected, "the latest ledger entries, the latest first");
        assert_eq!(scanned.len(), ledger.len(), "scan and ledger select the same deliveries");
        for (archived, entry) in scanned.iter().zip(&ledger) {
            let delivery = &archived.delivery;
            assert_eq!(delivery.id(), entry.id, "scan and ledger have the same order");
            assert_eq!(*delivery.model(), entry.model, "the model of a ledger entry");
            assert_eq!(delivery.received_at(), entry.received_at, "the time of a ledger entry");
            assert_eq!(archived.state, entry.state, "the state of a ledger entry");
        }
        ledger.into_iter().map(|entry| entry.id).collect()
    }
}

pub(super) fn leases(claimed: &Claimed) -> Vec<Lease> {
    claimed.leases.iter().map(|(_, lease)| *lease).collect()
}

async fn all<T>(mut entries: Entries<T>) -> Vec<T> {
    let mut found = Vec::new();
    while let Some(entry) = entries.next().await {
        match entry {
            Ok(entry) => found.push(entry),
            Err(error) => panic!("a scan of an intact archive returned an error: {error:?}"),
        }
    }
    found
}

pub(super) async fn done<T>(what: &str, work: Work<T>) -> T {
    match work.await {
        Ok(result) => result,
        Err(error) => panic!("cannot {what}: {error:?}"),
    }
}

/// Asserts that an operation fails with an error that matches a pattern.
macro_rules! assert_fails {
    ($work:expr, $error:pat, $why:literal) => {
        match $work.await {
            Err($error) => {}
            other => panic!("{}: the result was {other:?}", $why),
        }
    };
}
pub(super) use assert_fails;

/// A call of an archive method.
pub(super) type Call<'a, T> = Box<dyn FnOnce() -> Job<'a, T> + Send + 'a>;
pub(super) type Job<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Runs all jobs concurrently. Polls the last one first, so that an archive that starts operations at the first poll
/// instead of at the call runs them in another order.
pub(super) async fn join<T>(jobs: Vec<Job<'_, T>>) -> Vec<T> {
    let mut slots: Vec<_> = jobs.into_iter().map(|job| (Some(job), None)).collect();
    poll_fn(|context| {
        for (job, result) in slots.iter_mut().rev() {
            if let Some(Poll::Ready(ready)) = job.as_mut().map(|job| job.as_mut().poll(context)) {
                (*job, *result) = (None, Some(ready));
            }
        }
        if slots.iter().any(|(job, _)| job.is_some()) { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    slots.into_iter().filter_map(|(_, result)| result).collect()
}

/// Makes all calls concurrently, each on its own thread, and waits for all results.
pub(super) async fn join_on_threads<'a, T: Send>(calls: Vec<Call<'a, T>>) -> Vec<T> {
    let (runtime, barrier) = (Handle::current(), Barrier::new(calls.len()));
    let (runtime, barrier) = (&runtime, &barrier);
    let jobs = thread::scope(|scope| {
        let start = |call: Call<'a, T>| {
            scope.spawn(move || {
                let _runtime = runtime.enter();
                barrier.wait();
                call()
            })
        };
        let threads: Vec<_> = calls.into_iter().map(start).collect();
        let joined = threads.into_iter().map(thread::ScopedJoinHandle::join);
        joined.collect::<Result<Vec<_>, _>>()
    });
    match jobs {
        Ok(jobs) => join(jobs).await,
        Err(panic) => resume_unwind(panic),
    }
}

/// Runs operations concurrently and unwraps their results.
pub(super) async fn done_together<T: Debug + Send>(what: &str, work: Vec<Work<T>>) -> Vec<T> {
    let jobs = work.into_iter().map(|work| Box::pin(done(what, work)) as Job<'_, T>).collect();
    join(jobs).await
}
