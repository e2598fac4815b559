use std::{collections::VecDeque, fmt, future::ready, pin::Pin, sync::Arc, time::Duration};

use super::{
    ArchiveError, ArchiveHealth, Counts, Entries, Lease, LedgerEntry, Query, StorageUsage,
    lease::LEASE_LENGTH,
};
use crate::delivery::{
    Delivery, DeliveryId, InferenceDigest, InferenceId, ModelName, Outcome, Receipt, State,
};

/// The future of an operation of an archive.
pub type Work<T> = Pin<Box<dyn Future<Output = Result<T, ArchiveError>> + Send>>;

/// The durable store of deliveries and of their states.
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
/// An operation may start when its method is called or when its future is first polled. Poll it to its end: if the
/// future is dropped before that, the operation may or may not take effect.
///
/// # Errors
///
/// Every operation can fail with [`ArchiveError::Unavailable`] or [`ArchiveError::Io`], and then has had no effect; or
/// with [`ArchiveError::Unsure`], and then may have.
pub trait Archive: fmt::Debug + fmt::Display + Send + Sync + 'static {
    /// Stores a delivery, or recognizes it as a repeat of a stored one. Durable on return.
    ///
    /// A delivery is a repeat if an earlier one has its [fingerprint](Delivery::fingerprint), and the bytes of that one
    /// are stored and readable as far as known, or its state is final in a way no repeat revives: processed, repeat, or
    /// poisoned. In one transition with that decision:
    ///
    /// | the first is | with a lease | without |
    /// |---|---|---|
    /// | pending, failed | is leased, whenever it is due | stays as it is |
    /// | dead (not poisoned), undecodable | is leased, as attempt 1 | becomes pending, with no attempts |
    /// | leased | stays as it is, no lease | stays as it is |
    /// | processed, repeat, poisoned | stays as it is, no lease | stays as it is |
    fn append(&self, append: Append) -> Work<Appended>;

    /// Leases deliveries that are due. Each delivery is leased by one caller at a time.
    ///
    /// Takes the models in the order of [`Claim::wants`], one delivery each, round after round; of each model the
    /// delivery that has been due longest. Deliveries without a body are never leased. A lease that has expired without
    /// a settle counts as one crash; after the third in a row the delivery becomes dead and poisoned instead. That a
    /// delivery was leased is durable on return, unless the archive's leases survive the process.
    fn claim(&self, claim: Claim) -> Work<Claimed>;

    /// Leases one delivery by its id, whether or not it is due. Returns its state, and no lease if the delivery is
    /// leased already, settled, or has no body. With [`Acquire::reviving`], a delivery that is undecodable, or dead and
    /// not poisoned, is leased as attempt 1.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Unknown`] if there is no such delivery.
    fn acquire(&self, acquire: Acquire) -> Work<Acquired>;

    /// Extends leases to `length` from now. Returns the deliveries of which the lease was lost.
    fn renew(&self, leases: Vec<Lease>, length: Duration) -> Work<Vec<DeliveryId>>;

    /// Records the outcome of an attempt and ends its lease. Durable on return. A failed delivery is due again after
    /// `retry_in`, which is ignored for other outcomes.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::LeaseLost`] if the lease has ended. A late [`Outcome::Processed`] is accepted all the same while
    /// the delivery is not settled, and ends the lease of whoever holds it. [`ArchiveError::Unknown`] if there is no
    /// such delivery.
    fn settle(&self, lease: Lease, outcome: Outcome, retry_in: Duration) -> Work<()>;

    /// Ends a lease without an outcome. The delivery is pending, and the attempt does not count. Durable on return,
    /// unless the archive's leases survive the process.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::LeaseLost`] if the lease has ended.
    fn release(&self, lease: Lease, release: Release) -> Work<()>;

    /// Enters the single flight of an inference: at most one lease processes the inferences of one
    /// [`InferenceId`] at a time. It ends with the lease. Entering again under the same lease has no effect.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::LeaseLost`] if the lease has ended.
    fn begin(&self, lease: Lease, inference: InferenceDigest) -> Work<Begun>;

    /// Makes dead, undecodable and failed deliveries that `query` selects pending, without attempts and due at once.
    /// Returns how many. Each is one compare-and-set: never touches a delivery that is pending, leased, processed or a
    /// repeat at that moment, or that has no body. Durable on return.
    fn retry(&self, query: Query) -> Work<u64>;

    /// Removes the heads and bodies of all deliveries that `query` selects, whatever their state. Returns how many.
    ///
    /// Selecting and giving up are one decision, ordered with appends and settles. From that decision on, a delivery is
    /// not found by [`get`](Self::get) and [`scan`](Self::scan), is not leased any more, and cannot be revived. The
    /// bytes are gone for good on return.
    ///
    /// Its ledger entry stays for the time that the archive documents, so that a repeat of what was processed is still
    /// recognized. A lease that is held goes on, and can be settled.
    ///
    /// # Errors
    ///
    /// If the bytes of some deliveries could not be removed. They are not found any more all the same, and the archive
    /// finishes the removal later.
    fn remove(&self, query: Query) -> Work<u64>;

    /// The state of a delivery, also of one without a body; None if there is no such delivery.
    fn state(&self, id: DeliveryId) -> Work<Option<State>>;

    /// A delivery with its exact body and its state; None if there is no such delivery, or it was removed.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Damaged`] if it cannot be read as it was written. From then on the same bytes are archived anew
    /// when they are received again.
    fn get(&self, id: DeliveryId) -> Work<Option<Archived>>;

    /// All deliveries with a body that `query` selects, in the order in which they were appended. Deliveries appended
    /// during the scan may be missing.
    fn scan(&self, query: Query) -> Entries;

    /// The ledger entries of all deliveries with a body that `query` selects, in the order in which they were appended,
    /// without reading heads and bodies.
    fn ledger(&self, query: Query) -> Entries<LedgerEntry>;

    /// The ledger entries of the latest deliveries with a body that `query` selects, at most `most`, the latest first.
    ///
    /// The default reads the whole ledger.
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

    /// How many deliveries with a body there are, by model and state. The cost does not depend on how many are settled.
    fn counts(&self) -> Work<Counts>;

    /// The disk space that the archive uses and that is free; None, the default, if unknown.
    fn usage(&self) -> Work<Option<StorageUsage>> {
        Box::pin(ready(Ok(None)))
    }

    /// The condition of the archive, for [health probes](crate::Inbox::health) and metrics. Default: nothing is known.
    /// Must be cheap: probes call it about once a second.
    fn health(&self) -> Work<ArchiveHealth> {
        Box::pin(ready(Ok(ArchiveHealth::default())))
    }
}

/// An archive behind an `Arc` is an archive.
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

    fn state(&self, id: DeliveryId) -> Work<Option<State>> {
        (**self).state(id)
    }

    fn get(&self, id: DeliveryId) -> Work<Option<Archived>> {
        (**self).get(id)
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

    fn counts(&self) -> Work<Counts> {
        (**self).counts()
    }

    fn usage(&self) -> Work<Option<StorageUsage>> {
        (**self).usage()
    }

    fn health(&self) -> Work<ArchiveHealth> {
        (**self).health()
    }
}

/// A request to store a delivery. Only with one can an [`Appended`], and so a [`Receipt`], be made.
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

    /// The length of the lease that the caller asks for, if any.
    pub fn lease_length(&self) -> Option<Duration> {
        self.lease
    }

    /// For archives: the delivery is durable, was not stored before, and is pending, or leased under `lease`.
    pub fn stored(&self, lease: Option<Lease>) -> Appended {
        let state = if lease.is_some() { State::NEW.leased() } else { State::NEW };
        Appended { receipt: Receipt::fresh(self.delivery.id()), state, lease }
    }

    /// For archives: the same delivery is durable as `first`, which is now in this state.
    pub fn repeats(&self, first: DeliveryId, state: State, lease: Option<Lease>) -> Appended {
        Appended { receipt: Receipt::repeat(first), state, lease }
    }
}

/// The result of [`Archive::append`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "the receipt allows a 2xx, and a lease has to be settled or released"]
pub struct Appended {
    /// Proof that the bytes are durable, as this delivery or as the first one that it repeats.
    pub receipt: Receipt,
    /// The state of that delivery after the append.
    pub state: State,
    /// The lease, if one was asked for and the delivery could be leased.
    pub lease: Option<Lease>,
}

/// Which deliveries a caller of [`Archive::claim`] can process.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Claim {
    /// The models in order of preference, each with the maximum number of deliveries. Models that are not listed are
    /// not claimed.
    pub wants: Vec<(ModelName, usize)>,
    /// The maximum number of deliveries of all models.
    pub limit: usize,
    /// The maximum number of deliveries whose last attempt crashed.
    pub suspects: usize,
    /// The length of each lease unless renewed.
    pub lease_length: Duration,
}

impl Claim {
    /// Claims at most `limit` deliveries of the models in `wants`, at most one of them a suspect, for 60 s.
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
    /// How long until the next delivery of a wanted model is due, as far as known. None: nothing is waiting.
    pub next_due: Option<Duration>,
}

impl Claimed {
    /// For archives: what was leased, and when the next delivery is due.
    pub fn new(leases: Vec<(ModelName, Lease)>, next_due: Option<Duration>) -> Self {
        Self { leases, next_due }
    }
}

/// Which delivery a caller of [`Archive::acquire`] wants.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Acquire {
    /// The delivery.
    pub id: DeliveryId,
    /// Whether a dead delivery that is not poisoned, or an undecodable one, is leased, too.
    pub revive: bool,
    /// The length of the lease unless renewed.
    pub lease_length: Duration,
}

impl Acquire {
    /// Leases the delivery if it is pending or failed, for 60 s.
    pub fn new(id: DeliveryId) -> Self {
        Self { id, revive: false, lease_length: LEASE_LENGTH }
    }

    /// Also if it is dead and not poisoned, or undecodable.
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
    /// After this time.
    After(Duration),
    /// When no other lease processes this inference any more. An archive that cannot know that waits a moment.
    WhenFree(InferenceId),
}

/// The result of [`Archive::begin`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Begun {
    /// The lease may process the inference.
    Started {
        /// Another delivery that was processed as the same version of the inference, in other bytes.
        earlier: Option<DeliveryId>,
    },
    /// Another lease processes an inference of the same id.
    Busy,
    /// The same version of the inference was processed before, in the same bytes.
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
