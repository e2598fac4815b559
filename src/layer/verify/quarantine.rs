use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{runtime::Handle, sync::OnceCell};

use super::cap::{Cap, Kept};
use crate::{
    archive::{Archive, ArchiveError, Query},
    delivery::Delivery,
};

/// How many may be on their way at the same time. More are not kept: somebody is flooding us.
const MOST_UNDER_WAY: usize = 64;

/// Where deliveries are kept whose sender could not be proved, for a time at which it may be: after a secret was mended.
///
/// An archive of its own, which no stranger can fill: it is capped by number and by bytes, and the oldest go first. The
/// same bytes are kept once. Their sender is answered 401 all the same, and does not wait for it.
///
/// Only what was read whole is kept: a delivery without the header or the parameter that its scheme reads is refused
/// before its body is. Tokens are redacted here as in every archive, so what was to be proved by one cannot be verified
/// again; signatures are no secrets, and stay. [`Inbox::release`](crate::Inbox::release) verifies again.
///
/// ```
/// use tower_inbox::{Inbox, MemoryArchive, layer::Quarantine};
///
/// let quarantine = Quarantine::new(MemoryArchive::new()).most(1000).most_bytes(16 << 20);
/// let inbox = Inbox::builder(MemoryArchive::new()).quarantine(quarantine).build()?;
/// # let _ = inbox;
/// # Ok::<(), tower_inbox::BuildError>(())
/// ```
#[derive(Clone)]
pub struct Quarantine {
    cap: Cap,
    inner: Arc<Inner>,
}

struct Inner {
    archive: Box<dyn Archive>,
    under_way: AtomicUsize,
    kept: OnceCell<Mutex<Kept>>,
}

impl Quarantine {
    /// In this archive, which should hold nothing else: at most 1000 deliveries of 64 MiB together.
    pub fn new(archive: impl Archive) -> Self {
        let inner = Inner {
            archive: Box::new(archive),
            under_way: AtomicUsize::new(0),
            kept: OnceCell::new(),
        };
        Self { cap: Cap::default(), inner: Arc::new(inner) }
    }

    /// At most so many deliveries. By default 1000.
    pub fn most(mut self, deliveries: usize) -> Self {
        self.cap.deliveries = deliveries;
        self
    }

    /// At most so many bytes of bodies together. By default 64 MiB.
    pub fn most_bytes(mut self, bytes: usize) -> Self {
        self.cap.bytes = bytes;
        self
    }

    /// The archive, to look into.
    pub fn archive(&self) -> &dyn Archive {
        &*self.inner.archive
    }

    /// Keeps a delivery that was refused. Does not wait for it.
    pub(super) fn keep(&self, delivery: Delivery) {
        if delivery.body().len() > self.cap.bytes {
            return;
        }
        let Ok(runtime) = Handle::try_current() else { return };
        if self.inner.under_way.fetch_add(1, Ordering::Relaxed) >= MOST_UNDER_WAY {
            self.inner.under_way.fetch_sub(1, Ordering::Relaxed);
            tracing::warn!("not kept in the quarantine: too many are on their way there");
            return;
        }
        let this = self.clone();
        runtime.spawn(async move {
            if let Err(error) = this.try_keep(delivery).await {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "cannot keep a refused delivery in the quarantine");
            }
            this.inner.under_way.fetch_sub(1, Ordering::Relaxed);
        });
    }

    async fn try_keep(&self, delivery: Delivery) -> Result<(), ArchiveError> {
        // Counted before the first comes in, and not with it.
        drop(self.kept().await?);
        let (received_at, bytes) = (delivery.received_at(), delivery.body().len());
        if self.archive().append(delivery).await?.is_repeat() {
            return Ok(());
        }
        let too_old = self.kept().await?.add(received_at, bytes, self.cap);
        if let Some(before) = too_old {
            let removed = self.archive().remove(Query::all().before(before)).await?;
            tracing::info!(removed, "the quarantine is full: the oldest are gone");
        }
        Ok(())
    }

    /// What is in it, which is counted once.
    async fn kept(&self) -> Result<MutexGuard<'_, Kept>, ArchiveError> {
        let kept = self.inner.kept.get_or_try_init(|| self.count()).await?;
        Ok(kept.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn count(&self) -> Result<Mutex<Kept>, ArchiveError> {
        let (mut kept, mut entries) = (Kept::default(), self.archive().scan(Query::all()));
        while let Some(entry) = entries.next().await {
            let delivery = entry?.delivery;
            kept.push(delivery.received_at(), delivery.body().len());
        }
        Ok(Mutex::new(kept))
    }
}

impl fmt::Debug for Quarantine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quarantine")
            .field("cap", &self.cap)
            .field("archive", &self.inner.archive)
            .finish_non_exhaustive()
    }
}
