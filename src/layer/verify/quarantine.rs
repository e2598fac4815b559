use std::{
    fmt,
    sync::Arc,
    time::{Instant, SystemTime},
};

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::{
    cap::Cap,
    gate::{Gate, Pass},
    store::Store,
};
use crate::{
    archive::{Archive, ArchiveError},
    delivery::{Delivery, DeliveryId},
    metrics,
};

/// Where deliveries are kept whose sender could not be proved, for a time at which it may be: after a secret was mended.
///
/// An archive of its own, which no stranger can fill: it is capped by number and by bytes, and the oldest go first. The
/// same bytes are kept once. It takes twice as many at once as it holds, and then as many an hour as it holds, since an
/// archive remembers a line of each that goes again. Senders are answered 401 all the same, and do not wait for it: what
/// is on its way there when the process ends is lost.
///
/// What the head alone decides is refused before the body is read, and is not kept unless it is [asked
/// for](Self::reading_all): a signature that is missing or malformed, a timestamp out of tolerance, a token or password
/// that is wrong. Tokens are replaced here as in every archive, so that no delivery could be proved by one again.
/// Signatures are no secrets, and stay: [`Inbox::release`](crate::Inbox::release) verifies again.
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
    reads_all: bool,
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    gate: Gate,
    tasks: TaskTracker,
}

impl Quarantine {
    /// In this archive, which should hold nothing else: at most 1000 deliveries of 64 MiB together.
    pub fn new(archive: impl Archive) -> Self {
        let inner = Inner {
            store: Store::new(Box::new(archive)),
            gate: Gate::default(),
            tasks: TaskTracker::new(),
        };
        Self { cap: Cap::default(), reads_all: false, inner: Arc::new(inner) }
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

    /// Reads and keeps, within the same limits, also what the head alone refuses, so that a clock that is wrong or a
    /// header that was mistaken loses no delivery. By default the body of such a request is not read.
    ///
    /// It has a price: bodies of strangers who know nothing but the URL take a share of the inbox's bytes in flight. And
    /// what came in a header or parameter whose name is not that of a secret, and that the model does not read, is kept as it
    /// came: where a token was expected elsewhere, the token. [`Inbox::release`](crate::Inbox::release) leaves it out of what it moves to the
    /// archive, once the model reads it from there.
    ///
    /// A delivery is judged as of its receipt: where the clock was wrong, verify with a wider
    /// [`Tolerance`](crate::signature::Tolerance) for the release.
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

    /// Whether bodies are read of what the head alone refuses.
    pub(crate) fn reads_all(&self) -> bool {
        self.reads_all
    }

    /// The archive, to look into.
    pub fn archive(&self) -> &dyn Archive {
        self.inner.store.archive()
    }

    /// How many deliveries were not kept since the process began: more than it holds were on their way, or came too fast.
    pub fn turned_away(&self) -> u64 {
        self.inner.gate.turned_away()
    }

    /// Waits until all is there that was on its way.
    pub(crate) async fn settled(&self) {
        // A closed tracker takes new work all the same; it only lets us wait.
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }

    /// Keeps a delivery that was refused, whose body is so long. Does not wait for it.
    pub(super) fn keep(&self, bytes: usize, delivery: impl FnOnce() -> Delivery + Send + 'static) {
        let pass = self.inner.gate.pass(bytes, self.cap, Instant::now());
        metrics::quarantined(pass.is_some());
        match (pass, Handle::try_current()) {
            (Some(pass), Ok(_)) => {
                let work = self.clone().work(delivery, pass).in_current_span();
                drop(self.inner.tasks.spawn(work));
            }
            _ => self.tell_turned_away(),
        }
    }

    async fn work(self, delivery: impl FnOnce() -> Delivery, pass: Pass) {
        // The digest is computed here, and not while the sender waits.
        if let Err(error) = self.inner.store.keep(delivery(), self.cap).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "cannot keep a refused delivery in the quarantine");
        }
        drop(pass);
    }

    /// Seldom enough for a flood.
    fn tell_turned_away(&self) {
        let turned_away = self.turned_away();
        if turned_away.is_power_of_two() {
            tracing::warn!(turned_away, "not kept in the quarantine: too many, or too fast");
        }
    }

    /// Notes that a delivery belongs here no longer. It goes with the next [`clear`](Self::clear).
    pub(crate) async fn let_go(
        &self,
        received_at: SystemTime,
        id: DeliveryId,
    ) -> Result<(), ArchiveError> {
        self.inner.store.let_go(received_at, id).await
    }

    /// Removes what belongs here no longer, in one go: each removal writes anew what it leaves.
    pub(crate) async fn clear(&self) -> Result<(), ArchiveError> {
        self.inner.store.clear().await
    }
}

impl fmt::Debug for Quarantine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quarantine")
            .field("cap", &self.cap)
            .field("reads_all", &self.reads_all)
            .field("archive", &self.archive())
            .finish_non_exhaustive()
    }
}
