use std::{
    fmt,
    sync::Arc,
    time::{Instant, SystemTime},
};

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::{
    quarantine_limits::{Admission, Capacity, Permit},
    quarantine_store::QuarantineStore,
};
use crate::{
    archive::{Archive, ArchiveError},
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
        Self { capacity: Capacity::default(), reads_all: false, inner: Arc::new(inner) }
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
