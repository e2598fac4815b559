use std::{
    collections::VecDeque,
    fmt,
    future::ready,
    ops::RangeInclusive,
    pin::Pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{
    ArchiveError, ArchiveHealth, Counts, Entries, Lease, LedgerEntry, Node, Query, RemovedEntry,
    StorageUsage, lease::LEASE_LENGTH,
};
use crate::delivery::{
    Delivery, DeliveryId, InferenceDigest, InferenceId, ModelName, Outcome, Receipt, State,
};

/// The future returned by an archive operation.
pub type Work<T> = Pin<Box<dyn Future<Output = Result<T, ArchiveError>> + Send>>;

/// The durable store of deliveries and their states.
///
/// An archive owns the state machine of each delivery. Every operation is one atomic transition: its precondition is
/// evaluated where the state is stored, never read first and written later.
///
/// ```text
///                      append                     settle(lease, …)
///    (nothing) ───────────────▶ pending ◀─────────── failed: due again later
///                                 │ ▲                    ▲
///                           claim │ │ release, lease     │
///                                 ▼ │ expired (crash +1) │
///                               leased ──────────────────┴──▶ processed · repeat · dead · undecodable
///                                                               │ retry, or a repeat of a dead/undecodable one
///                                                               ▼
///                                                             pending
///    remove: any state ─▶ the same state without a body; its ledger entry stays for the dedup window
/// ```
///
/// Every implementation passes the conformance suite in `testing` (feature `testing`).
///
/// # Cancel safety
///
/// An operation may start when its method is called or when its future is first polled. Poll the future to completion:
/// if it is dropped earlier, the operation may or may not take effect.
///
/// # Errors
///
/// Every operation can fail with [`ArchiveError::Unavailable`] or [`ArchiveError::Io`], in which case it had no effect,
/// or with [`ArchiveError::Unsure`], in which case it may have taken effect.
pub trait Archive: fmt::Debug + fmt::Display + Send + Sync + 'static {
    /// Stores a delivery, or recognizes it as a repeat of a stored one. Durable on return.
    ///
    /// A delivery is a repeat if an earlier one has the same [fingerprint](Delivery::fingerprint) and either its bytes
    /// are stored and not known to be unreadable, or its state is final and not revived by a repeat: processed, repeat,
    /// or poisoned. The same transition updates the earlier delivery:
    ///
    /// | earlier delivery is | lease requested | no lease requested |
    /// |---|---|---|
    /// | pending, failed | leased, even if not yet due | unchanged |
    /// | dead (not poisoned), undecodable | leased, as attempt 1 | becomes pending, with no attempts |
    /// | leased | unchanged, no lease | unchanged |
    /// | processed, repeat, poisoned | unchanged, no lease | unchanged |
    fn append(&self, append: Append) -> Work<Appended>;

    /// Leases due deliveries. Each delivery is leased by one caller at a time.
    ///
    /// Visits the models round-robin in the order of [`Claim::wants`] and takes one delivery per visit: the one that
    /// has been due longest. Deliveries without a body are never leased. A lease that expires without a settle counts
    /// as one crash; after the third in a row, the delivery becomes dead and poisoned instead. The leased state is
    /// durable on return, unless the archive's leases survive the process.
    fn claim(&self, claim: Claim) -> Work<Claimed>;

    /// Leases one delivery by id, whether or not it is due. Returns its state, without a lease if the delivery is
    /// already leased, is settled, or has no body. With [`Acquire::reviving`], a delivery that is undecodable, or dead
    /// and not poisoned, is leased as attempt 1.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Unknown`] if the delivery does not exist.
    fn acquire(&self, acquire: Acquire) -> Work<Acquired>;

    /// Extends leases to `length` from now. Returns the deliveries whose lease was lost.
    fn renew(&self, leases: Vec<Lease>, length: Duration) -> Work<Vec<DeliveryId>>;

    /// Records the outcome of an attempt and ends its lease. Durable on return. A failed delivery becomes due again
    /// after `retry_in`, which is ignored for other outcomes.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::LeaseLost`] if the lease has ended. A late [`Outcome::Processed`] is still accepted while the
    /// delivery is not settled, and ends the current lease, if any. [`ArchiveError::Unknown`] if the delivery does not
    /// exist.
    fn settle(&self, lease: Lease, outcome: Outcome, retry_in: Duration) -> Work<()>;

    /// Ends a lease without an outcome. The delivery becomes pending, and the attempt is not counted. Durable on
    /// return, unless the archive's leases survive the process.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::LeaseLost`] if the lease has ended.
    fn release(&self, lease: Lease, release: Release) -> Work<()>;

    /// Enters the single flight of an inference: at most one lease at a time processes inferences with the same
    /// [`InferenceId`]. The flight ends with the lease. Entering again under the same lease has no effect.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::LeaseLost`] if the lease has ended.
    fn begin(&self, lease: Lease, inference: InferenceDigest) -> Work<Begun>;

    /// Requeues the dead, undecodable and failed deliveries that `query` selects: they become pending, without attempts
    /// and due immediately. Returns their number. Each update is a compare-and-set: a delivery that is pending, leased,
    /// processed or a repeat at that moment, or that has no body, is not changed. Durable on return.
    fn retry(&self, query: Query) -> Work<u64>;

    /// Removes the heads and bodies of all deliveries that `query` selects, in any state. Returns their number.
    ///
    /// Selection and removal are one decision, ordered with appends and settles. From that decision on, a delivery is
    /// not returned by [`get`](Self::get) and [`scan`](Self::scan), is not leased, and cannot be revived. Its bytes are
    /// permanently erased on return.
    ///
    /// The ledger entry is retained for the period that the archive documents, so that a repeat of a processed delivery
    /// is still recognized. A held lease remains valid and can be settled.
    ///
    /// # Errors
    ///
    /// If the bytes of some deliveries could not be erased. Those deliveries are still no longer returned, and the
    /// archive completes the removal later.
    fn remove(&self, query: Query) -> Work<u64>;

    /// If the unsettled deliveries exceed `limit`, deletes the oldest ones that are not leased, by time of receipt, until
    /// the others fit into `target`; the newest one stays. Their ledger entries are deleted, too, so a repeat is a new
    /// delivery. Returns their number, or `None` if the archive does not support this. Default: `None`.
    ///
    /// Limits a [quarantine](crate::layer::Quarantine) across processes: concurrent calls together leave at most
    /// `limit`. A quarantine in an archive without support counts in memory, so its limit holds for one process.
    fn trim(&self, limit: Capacity, target: Capacity) -> Work<Option<u64>> {
        let _ = (limit, target);
        Box::pin(ready(Ok(None)))
    }

    /// Returns the state of a delivery, including one without a body, or `None` if the delivery does not exist.
    fn state(&self, id: DeliveryId) -> Work<Option<State>>;

    /// Returns a delivery with its exact body and its state, or `None` if it does not exist or was removed.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Damaged`] if the stored delivery is damaged. If the same bytes are received again after that,
    /// they are stored again.
    fn get(&self, id: DeliveryId) -> Work<Option<Archived>>;

    /// Returns the recorded changes of the state of a delivery, oldest first: its latest [`MAX_HISTORY`], without the
    /// state after the append. Empty if the delivery does not exist. `None` if the archive keeps no history. Default:
    /// `None`.
    ///
    /// Contains every outcome other than processed and repeat, every return to pending by [`retry`](Self::retry) or by a
    /// repeat, and the current outcome. An archive may leave out leases and releases, and the crash that a later change
    /// counts. It may also forget changes after the period that it documents. Its cost may depend on the size of the
    /// archive.
    fn history(&self, id: DeliveryId) -> Work<Option<Vec<StateChange>>> {
        let _ = id;
        Box::pin(ready(Ok(None)))
    }

    /// Returns all deliveries with a body that `query` selects, in append order. Deliveries appended during the scan
    /// may be missing.
    fn scan(&self, query: Query) -> Entries;

    /// Returns the ledger entries of all deliveries with a body that `query` selects, in append order, without reading
    /// heads and bodies.
    fn ledger(&self, query: Query) -> Entries<LedgerEntry>;

    /// Returns the ledger entries of the latest deliveries with a body that `query` selects, at most `most`, latest
    /// first.
    ///
    /// The default implementation reads the whole ledger.
    fn latest(&self, query: Query, most: usize) -> Work<Vec<LedgerEntry>> {
        let mut entries = self.ledger(query);
        Box::pin(async move {
            let mut latest = VecDeque::new();
            while let Some(entry) = entries.next().await {
                latest.push_front(entry?);
                latest.truncate(most);
            }
            Ok(latest.into())
        })
    }

    /// Returns the ledger entries of all deliveries with a body whose id is in one of the ranges, in append order. For
    /// prefixes of ids.
    ///
    /// The default implementation reads the whole ledger.
    fn ledger_between(&self, ranges: Vec<RangeInclusive<DeliveryId>>) -> Work<Vec<LedgerEntry>> {
        let mut entries = self.ledger(Query::all());
        Box::pin(async move {
            let mut found = Vec::new();
            while let Some(entry) = entries.next().await {
                let entry = entry?;
                if ranges.iter().any(|range| range.contains(&entry.id)) {
                    found.push(entry);
                }
            }
            Ok(found)
        })
    }

    /// Returns the ledger entries of deliveries without a body that are processed, a repeat, or poisoned, in append
    /// order. Their repeats are recognized and not stored. For copies to another archive.
    ///
    /// The default implementation returns none.
    fn removed(&self) -> Entries<RemovedEntry> {
        Entries::ready([])
    }

    /// Pauses or resumes a model on every node: [`claim`](Self::claim) leases no delivery of a paused model.
    /// [`append`](Self::append) and [`acquire`](Self::acquire) do not change, and leases continue.
    ///
    /// An archive of several nodes stores this durably. An archive of one process may forget it when it is closed.
    fn set_paused(&self, model: ModelName, paused: bool) -> Work<()>;

    /// Returns the paused models, sorted.
    fn paused(&self) -> Work<Vec<ModelName>>;

    /// Returns the number of deliveries with a body, by model and state. The cost does not depend on the number of
    /// settled deliveries.
    fn counts(&self) -> Work<Counts>;

    /// Returns the disk space used by the archive and the free disk space, or `None` if both are unknown. Default:
    /// `None`.
    fn usage(&self) -> Work<Option<StorageUsage>> {
        Box::pin(ready(Ok(None)))
    }

    /// Returns the processes that have the archive open, in the order of their start, if several can. Default: none.
    fn nodes(&self) -> Work<Vec<Node>> {
        Box::pin(ready(Ok(Vec::new())))
    }

    /// Returns the condition of the archive, for [health probes](crate::Inbox::health) and metrics. Default: every
    /// field is unknown. Must be cheap: probes call it about once per second.
    fn health(&self) -> Work<ArchiveHealth> {
        Box::pin(ready(Ok(ArchiveHealth::default())))
    }
}

/// Forwards every operation to the archive in the `Arc`.
impl<T: Archive + ?Sized> Archive for Arc<T> {
    fn append(&self, append: Append) -> Work<Appended> {
        (**self).append(append)
    }

    fn claim(&self, claim: Claim) -> Work<Claimed> {
        (**self).claim(claim)
    }

    fn acquire(&self, acquire: Acquire) -> Work<Acquired> {
        (**self).acquire(acquire)
    }

    fn renew(&self, leases: Vec<Lease>, length: Duration) -> Work<Vec<DeliveryId>> {
        (**self).renew(leases, length)
    }

    fn settle(&self, lease: Lease, outcome: Outcome, retry_in: Duration) -> Work<()> {
        (**self).settle(lease, outcome, retry_in)
    }

    fn release(&self, lease: Lease, release: Release) -> Work<()> {
        (**self).release(lease, release)
    }

    fn begin(&self, lease: Lease, inference: InferenceDigest) -> Work<Begun> {
        (**self).begin(lease, inference)
    }

    fn retry(&self, query: Query) -> Work<u64> {
        (**self).retry(query)
    }

    fn remove(&self, query: Query) -> Work<u64> {
        (**self).remove(query)
    }

    fn trim(&self, limit: Capacity, target: Capacity) -> Work<Option<u64>> {
        (**self).trim(limit, target)
    }

    fn state(&self, id: DeliveryId) -> Work<Option<State>> {
        (**self).state(id)
    }

    fn get(&self, id: DeliveryId) -> Work<Option<Archived>> {
        (**self).get(id)
    }

    fn history(&self, id: DeliveryId) -> Work<Option<Vec<StateChange>>> {
        (**self).history(id)
    }

    fn scan(&self, query: Query) -> Entries {
        (**self).scan(query)
    }

    fn ledger(&self, query: Query) -> Entries<LedgerEntry> {
        (**self).ledger(query)
    }

    fn latest(&self, query: Query, most: usize) -> Work<Vec<LedgerEntry>> {
        (**self).latest(query, most)
    }

    fn ledger_between(&self, ranges: Vec<RangeInclusive<DeliveryId>>) -> Work<Vec<LedgerEntry>> {
        (**self).ledger_between(ranges)
    }

    fn removed(&self) -> Entries<RemovedEntry> {
        (**self).removed()
    }

    fn set_paused(&self, model: ModelName, paused: bool) -> Work<()> {
        (**self).set_paused(model, paused)
    }

    fn paused(&self) -> Work<Vec<ModelName>> {
        (**self).paused()
    }

    fn counts(&self) -> Work<Counts> {
        (**self).counts()
    }

    fn usage(&self) -> Work<Option<StorageUsage>> {
        (**self).usage()
    }

    fn nodes(&self) -> Work<Vec<Node>> {
        (**self).nodes()
    }

    fn health(&self) -> Work<ArchiveHealth> {
        (**self).health()
    }
}

/// A number of deliveries, and of bytes of their bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "both limits, and nothing else, make a capacity")]
pub struct Capacity {
    /// The number of deliveries.
    pub deliveries: usize,
    /// The bytes of all bodies.
    pub bytes: usize,
}

impl Capacity {
    /// No limit.
    pub const UNLIMITED: Self = Self { deliveries: usize::MAX, bytes: usize::MAX };
}

/// A request to store a delivery. An [`Appended`], and therefore a [`Receipt`], can only be created from an `Append`.
#[derive(Clone, Debug)]
pub struct Append {
    delivery: Delivery,
    lease: Option<Duration>,
}

impl Append {
    /// Stores `delivery` as pending.
    pub fn new(delivery: Delivery) -> Self {
        Self { delivery, lease: None }
    }

    /// Leases the delivery to the caller in the same transition, for `length` unless renewed.
    pub fn leased_for(mut self, length: Duration) -> Self {
        self.lease = Some(length);
        self
    }

    /// The delivery to store.
    pub fn delivery(&self) -> &Delivery {
        &self.delivery
    }

    /// The length of the requested lease, if any.
    pub fn lease_length(&self) -> Option<Duration> {
        self.lease
    }

    /// For archives: the result for a new, durable delivery that is pending, or leased under `lease`.
    pub fn stored(&self, lease: Option<Lease>) -> Appended {
        let state = if lease.is_some() { State::NEW.leased() } else { State::NEW };
        Appended { receipt: Receipt::fresh(self.delivery.id()), state, lease }
    }

    /// For archives: the result for a repeat of the durable delivery `first`, which is now in `state`.
    pub fn repeats(&self, first: DeliveryId, state: State, lease: Option<Lease>) -> Appended {
        Appended { receipt: Receipt::repeat(first), state, lease }
    }
}

/// The result of [`Archive::append`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "the receipt allows a 2xx, and a lease has to be settled or released"]
pub struct Appended {
    /// Proof that the bytes are durable, as this delivery or as the earlier one that it repeats.
    pub receipt: Receipt,
    /// The state of that delivery after the append.
    pub state: State,
    /// The lease, if one was requested and the delivery could be leased.
    pub lease: Option<Lease>,
}

/// The deliveries that a caller of [`Archive::claim`] can process.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Claim {
    /// The models in order of preference, each with its maximum number of deliveries. Deliveries of other models are
    /// not claimed.
    pub wants: Vec<(ModelName, usize)>,
    /// The maximum number of deliveries across all models.
    pub limit: usize,
    /// The maximum number of deliveries whose last attempt crashed.
    pub suspects: usize,
    /// The length of each lease unless renewed.
    pub lease_length: Duration,
}

impl Claim {
    /// Claims at most `limit` deliveries of the models in `wants` for 60 s, including at most one whose last attempt
    /// crashed.
    pub fn new(wants: Vec<(ModelName, usize)>, limit: usize) -> Self {
        Self { wants, limit, suspects: 1, lease_length: LEASE_LENGTH }
    }

    /// Sets the maximum number of deliveries whose last attempt crashed.
    pub fn suspects(mut self, suspects: usize) -> Self {
        self.suspects = suspects;
        self
    }

    /// Sets the length of each lease.
    pub fn leased_for(mut self, length: Duration) -> Self {
        self.lease_length = length;
        self
    }
}

/// The result of [`Archive::claim`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "every lease has to be settled or released"]
pub struct Claimed {
    /// The leases, with the model of each delivery.
    pub leases: Vec<(ModelName, Lease)>,
    /// The time until the next delivery of a requested model is due, as far as known. `None` if no delivery is waiting.
    pub next_due: Option<Duration>,
}

impl Claimed {
    /// For archives: the leases, and the time until the next delivery is due.
    pub fn new(leases: Vec<(ModelName, Lease)>, next_due: Option<Duration>) -> Self {
        Self { leases, next_due }
    }
}

/// The delivery that a caller of [`Archive::acquire`] requests.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Acquire {
    /// The delivery.
    pub id: DeliveryId,
    /// Whether to also lease a delivery that is undecodable, or dead and not poisoned.
    pub revive: bool,
    /// The length of the lease unless renewed.
    pub lease_length: Duration,
}

impl Acquire {
    /// Leases the delivery if it is pending or failed, for 60 s.
    pub fn new(id: DeliveryId) -> Self {
        Self { id, revive: false, lease_length: LEASE_LENGTH }
    }

    /// Also leases the delivery if it is undecodable, or dead and not poisoned.
    pub fn reviving(mut self) -> Self {
        self.revive = true;
        self
    }

    /// Sets the length of the lease.
    pub fn leased_for(mut self, length: Duration) -> Self {
        self.lease_length = length;
        self
    }
}

/// The result of [`Archive::acquire`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "a lease has to be settled or released"]
pub struct Acquired {
    /// The state of the delivery after the call.
    pub state: State,
    /// The lease, if the delivery could be leased.
    pub lease: Option<Lease>,
}

impl Acquired {
    /// For archives: the state of the delivery, and its lease.
    pub fn new(state: State, lease: Option<Lease>) -> Self {
        Self { state, lease }
    }
}

/// When a released delivery is due again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Release {
    /// After this duration.
    After(Duration),
    /// When no other lease is processing this inference. An archive that cannot detect this uses a short delay.
    WhenFree(InferenceId),
}

/// The result of [`Archive::begin`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Begun {
    /// The lease may process the inference.
    Started {
        /// Another delivery that was processed as the same version of the inference, with different bytes.
        earlier: Option<DeliveryId>,
    },
    /// Another lease is processing an inference with the same id.
    Busy,
    /// The same version of the inference was already processed, with the same bytes.
    Processed {
        /// The delivery that was processed.
        of: DeliveryId,
        /// The status that its handler returned.
        status: u16,
    },
}

/// A delivery as an archive stores it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Archived {
    /// The delivery.
    pub delivery: Delivery,
    /// Its state.
    pub state: State,
}

impl Archived {
    /// For archives: a delivery and its state.
    pub fn new(delivery: Delivery, state: State) -> Self {
        Self { delivery, state }
    }
}

/// The most changes that [`Archive::history`] returns.
pub const MAX_HISTORY: usize = 100;

/// A change of the state of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StateChange {
    /// The time of the change, by the clock of the process or database that recorded it.
    pub at: SystemTime,
    /// The state after the change.
    pub state: State,
}

impl StateChange {
    /// For archives: a change to this state.
    pub fn new(at: SystemTime, state: State) -> Self {
        Self { at, state }
    }
}
