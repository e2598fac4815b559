use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::quarantine_store::{QuarantineStore, holds};
use crate::{
    archive::{Archive, ArchiveError, Capacity},
    delivery::{Delivery, DeliveryId},
    metrics,
};

/// Keeps deliveries whose signature was rejected, to verify them again after a secret was corrected.
///
/// The quarantine is a separate archive. Its size is limited in number and in bytes; the oldest deliveries are removed
/// first. Repeats are stored once. It accepts a burst of twice its capacity, and then its capacity per hour, because an
/// archive keeps a ledger entry of each removed delivery. Senders are answered 401, and do not wait until their
/// delivery is stored: deliveries that are being stored when the process ends are lost.
///
/// The capacity of a quarantine in a `PostgresArchive` holds for all processes that use it; the rate is that of each
/// process. Processes with different capacities apply the smallest. In other archives, one process uses a quarantine.
///
/// Requests that their head alone rejects are not kept, because their body is not read: a missing or malformed
/// signature, a timestamp out of tolerance, a wrong token or password. [`reading_all`](Self::reading_all) keeps them,
/// too. Tokens are redacted as in every archive, so no delivery can be verified by a token later. Signatures are not
/// secrets, and are stored: [`Inbox::release`](crate::Inbox::release) verifies them again.
///
/// ```
/// use tower_inbox::{Inbox, MemoryArchive, layer::Quarantine};
///
/// let quarantine = Quarantine::new(MemoryArchive::new()).max_deliveries(1000).max_bytes(16 << 20);
/// let inbox = Inbox::builder(MemoryArchive::new()).quarantine(quarantine).build()?;
/// # let _ = inbox;
/// # Ok::<(), tower_inbox::BuildError>(())
/// ```
#[derive(Clone)]
pub struct Quarantine {
    capacity: Capacity,
    reads_all: bool,
    inner: Arc<Inner>,
}

struct Inner {
    store: QuarantineStore,
    admission: Admission,
    tasks: TaskTracker,
}

impl Quarantine {
    /// Creates a quarantine in this archive, which should hold nothing else. Default capacity: 1000 deliveries, 64 MiB.
    pub fn new(archive: impl Archive) -> Self {
        let inner = Inner {
            store: QuarantineStore::new(Box::new(archive)),
            admission: Admission::default(),
            tasks: TaskTracker::new(),
        };
        Self { capacity: CAPACITY, reads_all: false, inner: Arc::new(inner) }
    }

    /// Sets the maximum number of deliveries. Default: 1000.
    pub fn max_deliveries(mut self, deliveries: usize) -> Self {
        self.capacity.deliveries = deliveries;
        self
    }

    /// Sets the maximum number of bytes of all bodies. Default: 64 MiB.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.capacity.bytes = bytes;
        self
    }

    /// Also keeps requests that their head alone rejects, within the same limits, so that a wrong clock or a misnamed
    /// header loses no delivery. Default: the body of such a request is not read.
    ///
    /// This has a cost. Anybody with the URL can send bodies that use a part of the inbox's bytes in flight. A token in
    /// an unexpected place, which is a header or parameter that the model does not read and that has no usual name of a
    /// secret, is stored in plain text. [`Inbox::release`](crate::Inbox::release) redacts it once the model reads it.
    ///
    /// A delivery is verified as of its receipt. After a wrong clock, release with a wider
    /// [`Tolerance`](crate::signature::Tolerance).
    ///
    /// ```
    /// use tower_inbox::{MemoryArchive, layer::Quarantine};
    ///
    /// let quarantine = Quarantine::new(MemoryArchive::new()).reading_all();
    /// # let _ = quarantine;
    /// ```
    pub fn reading_all(mut self) -> Self {
        self.reads_all = true;
        self
    }

    pub(crate) fn reads_all(&self) -> bool {
        self.reads_all
    }

    /// The archive of the quarantine.
    pub fn archive(&self) -> &dyn Archive {
        self.inner.store.archive()
    }

    /// The number of deliveries that were discarded since the process started, because too many were being stored, or
    /// because they arrived too fast.
    pub fn discarded(&self) -> u64 {
        self.inner.admission.discarded()
    }

    /// Waits until all admitted deliveries are stored.
    pub(crate) async fn settled(&self) {
        // A closed tracker accepts new tasks all the same; closing only allows to wait.
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }

    /// Stores a rejected delivery with a body of this length in a task.
    pub(super) fn keep(&self, bytes: usize, delivery: impl FnOnce() -> Delivery + Send + 'static) {
        let permit = self.inner.admission.admit(bytes, self.capacity, Instant::now());
        metrics::quarantined(permit.is_some());
        match (permit, Handle::try_current()) {
            (Some(permit), Ok(_)) => {
                let storing = self.clone().store(delivery, permit).in_current_span();
                drop(self.inner.tasks.spawn(storing));
            }
            _ => self.log_discarded(),
        }
    }

    async fn store(self, delivery: impl FnOnce() -> Delivery, permit: Permit) {
        // The digest is computed here, not while the sender waits.
        if let Err(error) = self.inner.store.store(delivery(), self.capacity).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "a rejected delivery could not be stored in the quarantine");
        }
        drop(permit);
    }

    /// Logs at powers of two only, so that a flood writes few lines.
    fn log_discarded(&self) {
        let discarded = self.discarded();
        if discarded.is_power_of_two() {
            tracing::warn!(
                discarded,
                "rejected deliveries are not kept in the quarantine: too many, or too fast"
            );
        }
    }

    /// Marks a released delivery for removal by [`remove_released`](Self::remove_released).
    pub(crate) async fn mark_released(
        &self,
        received_at: SystemTime,
        id: DeliveryId,
    ) -> Result<(), ArchiveError> {
        self.inner.store.settle(received_at, id).await
    }

    /// Removes all released deliveries at once, because each removal rewrites a segment.
    pub(crate) async fn remove_released(&self) -> Result<(), ArchiveError> {
        self.inner.store.remove_settled().await
    }
}

impl fmt::Debug for Quarantine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quarantine")
            .field("capacity", &self.capacity)
            .field("reads_all", &self.reads_all)
            .field("archive", &self.archive())
            .finish_non_exhaustive()
    }
}

/// The maximum number of deliveries that are being stored at the same time. Each takes memory.
const MAX_IN_FLIGHT: usize = 64;

/// The default capacity of a quarantine.
const CAPACITY: Capacity = Capacity { deliveries: 1000, bytes: 64 << 20 };

/// Admits deliveries to a quarantine, or discards them. Clones share the state.
#[derive(Clone, Debug, Default)]
pub(super) struct Admission(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Deliveries that are being stored.
    deliveries: usize,
    bytes: usize,
    rate: RateLimit,
    discarded: u64,
}

/// A delivery that was admitted and is being stored, until dropped.
#[derive(Debug)]
pub(super) struct Permit {
    admission: Admission,
    bytes: usize,
}

impl Admission {
    /// Admits a delivery of this length. None if it does not fit beside those that are being stored, or if the rate is
    /// exceeded.
    pub(super) fn admit(&self, bytes: usize, capacity: Capacity, now: Instant) -> Option<Permit> {
        let mut state = self.state();
        let limit =
            Capacity { deliveries: capacity.deliveries.min(MAX_IN_FLIGHT), bytes: capacity.bytes };
        let fits = holds(limit, state.deliveries + 1, state.bytes.saturating_add(bytes));
        if !fits || !state.rate.admit(now, capacity.deliveries) {
            state.discarded += 1;
            return None;
        }
        state.deliveries += 1;
        state.bytes += bytes;
        Some(Permit { admission: self.clone(), bytes })
    }

    /// The number of deliveries that were not admitted.
    pub(super) fn discarded(&self) -> u64 {
        self.state().discarded
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.admission.state();
        state.deliveries -= 1;
        state.bytes -= self.bytes;
    }
}

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Limits the rate of admissions: a burst of twice the capacity, then the capacity per hour.
///
/// The archive keeps a ledger entry of each delivery that is removed. Without this limit, a flood of requests would
/// fill the disk with entries.
#[derive(Debug, Default)]
struct RateLimit {
    /// When the admitted deliveries would all have arrived at the hourly rate.
    due: Option<Instant>,
}

impl RateLimit {
    /// Returns true, and counts one delivery, if it is within the rate.
    fn admit(&mut self, now: Instant, per_hour: usize) -> bool {
        let step = HOUR / u32::try_from(per_hour).unwrap_or(u32::MAX).max(1);
        let due = self.due.map_or(now, |due| due.max(now));
        let is_admitted = due.duration_since(now) + step <= 2 * HOUR;
        if is_admitted {
            self.due = due.checked_add(step);
        }
        is_admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deliveries_that_are_being_stored_are_limited_in_number_and_bytes() {
        let (admission, now) = (Admission::default(), Instant::now());
        let capacity = Capacity { deliveries: 1000, bytes: 100 };
        let admit = |bytes| admission.admit(bytes, capacity, now);
        let first = admit(60).unwrap();
        assert!(admit(41).is_none() && admit(usize::MAX).is_none());
        let second = admit(40).unwrap();
        drop(first);
        assert!(admit(60).is_some());
        drop(second);
        let all: Vec<_> = (0..MAX_IN_FLIGHT + 5).filter_map(|_| admit(1)).collect();
        assert_eq!((all.len(), admission.discarded()), (MAX_IN_FLIGHT, 7));
    }

    #[test]
    fn quarantine_of_capacity_zero_admits_nothing() {
        let capacity = Capacity { deliveries: 0, bytes: 100 };
        assert!(Admission::default().admit(1, capacity, Instant::now()).is_none());
    }

    #[test]
    fn rate_limit_admits_a_burst_of_twice_the_capacity_and_then_the_capacity_per_hour() {
        let (mut rate, now) = (RateLimit::default(), Instant::now());
        let mut admitted = |now| (0..100).filter(|_| rate.admit(now, 10)).count();
        assert_eq!(admitted(now), 20);
        assert_eq!(admitted(now + HOUR / 10), 1);
        assert_eq!(admitted(now + HOUR), 9);
        assert_eq!(admitted(now + 10 * HOUR), 20);
    }
}
