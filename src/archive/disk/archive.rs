use std::{
    fmt,
    future::ready,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};

use super::{
    DiskArchiveBuilder, background,
    fs::real_disk::RealDisk,
    handle::Handle,
    index::Index,
    maintain::{
        compactor::Compactor,
        request::{Request, ask},
    },
    read::{
        history::history,
        reader::Reader,
        scan::{DELIVERIES_AHEAD, ENTRIES_AHEAD, latest, ledger, removed, scan},
        stats::usage,
    },
    write::{
        command::{Command, Leases, Reply, releases},
        queue::Queue,
    },
};
use crate::{
    archive::{
        Acquire, Acquired, Append, Appended, Archive, ArchiveError, ArchiveHealth, Archived, Begun,
        Claim, Claimed, Counts, Entries, Lease, LedgerEntry, Query, Release, RemovedEntry,
        StateChange, StorageUsage, Work,
        transition::{Repeat, repeat},
        unsettled::later,
    },
    delivery::{DeliveryId, InferenceDigest, ModelName, Outcome, State},
};

/// Stores deliveries in a directory of WARC files, which `less` and every web archive tool can read.
///
/// An append is acknowledged after the operating system has reported that the bytes are on stable storage
/// (`fdatasync`). All queued commands are written together and synced once, so that many concurrent deliveries cost
/// little more than one.
///
/// Cheap to clone. Dropping the last clone writes the queued commands and releases the directory, so that it can be
/// opened again. This blocks until the disk has finished; see [`DiskArchive::close`].
///
/// Maintenance runs on a background thread: it seals segments, writes index files, compresses, and removes expired
/// deliveries; see [`DiskArchiveBuilder`].
///
/// Memory: at most 40 bytes for each settled delivery that is stored or remembered, up to 920 bytes for each delivery
/// that is unsettled or was received in the last seconds, plus the queued commands.
///
/// ```
/// use tower_inbox::archive::{Archive, DiskArchive, Query};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("inbox");
/// let archive = DiskArchive::open(&path).await?;
/// assert!(archive.scan(Query::all().pending()).next().await.is_none());
/// # Ok(())
/// # }
/// ```
///
/// For the guarantees, retention, and backups, see [`guide::archive`](crate::guide::archive).
#[derive(Clone)]
pub struct DiskArchive(Arc<Handle>);

impl DiskArchive {
    /// Opens the archive in this directory, or creates one.
    ///
    /// Truncates records that a crash left incomplete, and skips and logs damaged records. Reads each segment that has
    /// no index file in full.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Locked`] if another process, or another archive in this process, has the directory open;
    /// [`ArchiveError::Io`] if the directory cannot be read or repaired.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, ArchiveError> {
        Self::builder(path).open().await
    }

    /// Returns a builder for opening an archive with options other than the defaults.
    ///
    /// ```
    /// # use tower_inbox::archive::DiskArchive;
    /// let builder = DiskArchive::builder("inbox").segment_size(16 << 20).queue_capacity(1024);
    /// # let _ = builder;
    /// ```
    pub fn builder(path: impl AsRef<Path>) -> DiskArchiveBuilder {
        DiskArchiveBuilder::new(path.as_ref().to_owned())
    }

    /// Opens the archive in this directory read-only, even while another process writes to it. Takes no lock and
    /// changes no file.
    ///
    /// Shows the contents at the time of opening. Deliveries that are removed later are no longer found.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Io`] if the directory cannot be read or does not exist.
    ///
    /// ```
    /// use tower_inbox::archive::{Archive, DiskArchive, Query};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path();
    /// let writing = DiskArchive::open(path).await?;
    /// let reading = DiskArchive::read_only(path).await?;
    /// assert!(reading.scan(Query::all()).next().await.is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn read_only(path: impl AsRef<Path>) -> Result<Self, ArchiveError> {
        Self::builder(path).read_only().await
    }

    /// Runs the periodic maintenance immediately: seals segments that are old enough, writes index files, compresses,
    /// removes deliveries that exceed the age or size limit, and executes requests from other processes.
    ///
    /// # Errors
    ///
    /// If a step failed. The other steps have still run; the failed step is retried in the next round.
    ///
    /// # Cancel safety
    ///
    /// Maintenance continues if the future is dropped.
    pub async fn maintain_now(&self) -> Result<(), ArchiveError> {
        let compactor = self.compactor()?;
        background::run(move || compactor.maintenance()).await
    }

    /// Asks the process that writes to this directory to remove the deliveries that `query` selects, and waits up to
    /// `patience`. Returns the number of deliveries that were durably removed, or `None` on timeout. After a timeout
    /// the request stays, and is executed by the process that has the directory open, or by the next one to open it.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Io`] if the request could not be written durably.
    pub async fn request_removal(
        path: impl AsRef<Path>,
        query: Query,
        patience: Duration,
    ) -> Result<Option<u64>, ArchiveError> {
        Self::ask(path.as_ref().to_owned(), Request::Remove(query), patience).await
    }

    /// Asks the process that writes to this directory to reset the dead, undecodable and failed deliveries that `query`
    /// selects to pending, and waits up to `patience`. Returns the number of deliveries that were reset, or `None` on
    /// timeout. After a timeout the request stays, and is executed by the process that has the directory open, or by
    /// the next one to open it.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Io`] if the request could not be written durably.
    pub async fn request_retry(
        path: impl AsRef<Path>,
        query: Query,
        patience: Duration,
    ) -> Result<Option<u64>, ArchiveError> {
        Self::ask(path.as_ref().to_owned(), Request::Retry(query), patience).await
    }

    async fn ask(
        path: PathBuf,
        wanted: Request,
        patience: Duration,
    ) -> Result<Option<u64>, ArchiveError> {
        background::run(move || Ok(ask(&RealDisk, &path, wanted, patience)?)).await
    }

    /// Writes the queued commands and releases the directory. From then on, every clone rejects writes with
    /// [`ArchiveError::Closed`]. Reads still work.
    ///
    /// # Cancel safety
    ///
    /// The archive closes even if the future is dropped.
    pub async fn close(&self) {
        let handle = Arc::clone(&self.0);
        let closing = background::run(move || {
            handle.stop();
            Ok(())
        });
        // Fails only on runtime shutdown; dropping the handle then stops the writer.
        drop(closing.await);
    }

    pub(super) fn from_handle(handle: Handle) -> Self {
        Self(Arc::new(handle))
    }

    pub(super) fn reader(&self) -> Arc<Reader> {
        Arc::clone(&self.0.reader)
    }

    pub(super) fn compactor(&self) -> Result<Arc<Compactor>, ArchiveError> {
        self.0.compactor.clone().ok_or_else(|| ArchiveError::ReadOnly { path: self.0.path.clone() })
    }

    /// Checks the free space. A repeat that changes nothing writes nothing, so it is admitted even when the disk is
    /// full. A repeat that revives or leases the first delivery writes states, which a sender could trigger without
    /// limit.
    fn admit(&self, append: &Append) -> Result<(), ArchiveError> {
        self.compactor()?;
        let delivery = append.delivery();
        self.0.space.admit(delivery.body().len()).or_else(|full| {
            let wants_lease = append.lease_length().is_some();
            let writes_nothing = self.0.reader.ask(|index| {
                let first = index.first(delivery.fingerprint()).ok().flatten();
                first.is_some_and(|first| repeat(&first.known(), wants_lease) == Repeat::Unchanged)
            });
            if writes_nothing { Ok(()) } else { Err(full) }
        })
    }

    /// Queues a command for the writer.
    fn submit<T: Leases>(
        &self,
        now: Instant,
        command: impl FnOnce(Reply<T>) -> Command,
    ) -> Work<T> {
        let (reply, receiver) = oneshot::channel();
        let pushed = self.compactor().and_then(|_| self.0.queue.push(command(reply)));
        let pending = Pending { receiver, now, queue: Arc::clone(&self.0.queue) };
        match pushed {
            Ok(()) => Box::pin(pending.answer()),
            Err(error) => refused(error),
        }
    }
}

/// The pending result of a command. Leases in a result that the caller does not take are released.
struct Pending<T: Leases> {
    receiver: oneshot::Receiver<Result<T, ArchiveError>>,
    now: Instant,
    queue: Arc<Queue>,
}

impl<T: Leases> Pending<T> {
    async fn answer(mut self) -> Result<T, ArchiveError> {
        (&mut self.receiver).await.unwrap_or_else(|_| Err(writer_stopped()))
    }
}

impl<T: Leases> Drop for Pending<T> {
    fn drop(&mut self) {
        self.receiver.close();
        if let Ok(Ok(untaken)) = self.receiver.try_recv() {
            for release in releases(&untaken, self.now) {
                // A closed archive has no leases.
                drop(self.queue.push(release));
            }
        }
    }
}

/// Returns the error for a command that the writer was executing when it panicked.
pub(super) fn writer_stopped() -> ArchiveError {
    ArchiveError::Unsure(Box::new(WriterStopped))
}

#[derive(Debug, thiserror::Error)]
#[error("the writer of the archive stopped; the log says why; open the archive again")]
struct WriterStopped;

fn refused<T: Send + 'static>(error: ArchiveError) -> Work<T> {
    Box::pin(ready(Err(error)))
}

impl Archive for DiskArchive {
    fn append(&self, append: Append) -> Work<Appended> {
        if let Err(error) = self.admit(&append) {
            return refused(error);
        }
        let now = Instant::now();
        self.submit(now, |reply| Command::Append { append, now, reply })
    }

    fn claim(&self, claim: Claim) -> Work<Claimed> {
        // If nothing is due, returns without writing and without waiting for the writer. The time is read under the
        // lock, so that everything that the index has made due by then is included.
        let (due, now) = self.0.reader.ask(|index| {
            let now = Instant::now();
            (index.select(&claim, now, |_| false), now)
        });
        if due.ids.is_empty() && self.0.compactor.is_some() {
            return Box::pin(ready(Ok(Claimed::new(Vec::new(), due.next_due))));
        }
        self.submit(now, |reply| Command::Claim { claim, now, reply })
    }

    fn acquire(&self, acquire: Acquire) -> Work<Acquired> {
        let now = Instant::now();
        self.submit(now, |reply| Command::Acquire { acquire, now, reply })
    }

    fn renew(&self, leases: Vec<Lease>, _: Duration) -> Work<Vec<DeliveryId>> {
        let lost = self.0.reader.ask(|index| {
            let lost = leases.iter().filter(|lease| !index.holds(lease));
            lost.map(Lease::id).collect()
        });
        Box::pin(ready(Ok(lost)))
    }

    fn settle(&self, lease: Lease, outcome: Outcome, retry_in: Duration) -> Work<()> {
        let now = Instant::now();
        let due = later(now, retry_in);
        self.submit(now, |reply| Command::Settle { lease, outcome, due, reply })
    }

    fn release(&self, lease: Lease, release: Release) -> Work<()> {
        let now = Instant::now();
        self.submit(now, |reply| Command::Release { lease, release, now, reply })
    }

    fn begin(&self, lease: Lease, inference: InferenceDigest) -> Work<Begun> {
        let begun = self.compactor();
        let begun = begun.and_then(|_| self.0.index.write(|index| index.begin(&lease, inference)));
        Box::pin(ready(begun))
    }

    fn retry(&self, query: Query) -> Work<u64> {
        let now = Instant::now();
        match self.compactor() {
            Ok(compactor) => background::run(move || compactor.retry(&query, now)),
            Err(error) => refused(error),
        }
    }

    fn remove(&self, query: Query) -> Work<u64> {
        match self.compactor() {
            Ok(compactor) => background::run(move || compactor.remove(&query)),
            Err(error) => refused(error),
        }
    }

    fn state(&self, id: DeliveryId) -> Work<Option<State>> {
        if let Some(entry) = self.0.reader.ask(|index| index.in_memory(id)) {
            return Box::pin(ready(Ok(Some(entry.state))));
        }
        let reader = Arc::clone(&self.0.reader);
        background::run(move || Ok(reader.retried(|index| index.get(id))?.map(|entry| entry.state)))
    }

    fn get(&self, id: DeliveryId) -> Work<Option<Archived>> {
        let reader = Arc::clone(&self.0.reader);
        background::run(move || reader.get(id, &mut None))
    }

    /// Reads the segments that have states of the delivery, the latest 512 MiB of them. Superseded states of a segment are
    /// dropped once they are half of it.
    fn history(&self, id: DeliveryId) -> Work<Option<Vec<StateChange>>> {
        let reader = Arc::clone(&self.0.reader);
        background::run(move || history(&reader, id).map(Some))
    }

    fn scan(&self, query: Query) -> Entries {
        let (sender, found) = Entries::channel(DELIVERIES_AHEAD);
        let reader = Arc::clone(&self.0.reader);
        background::start(move || scan(&reader, &query, sender));
        found
    }

    fn ledger(&self, query: Query) -> Entries<LedgerEntry> {
        let (sender, found) = Entries::channel(ENTRIES_AHEAD);
        let reader = Arc::clone(&self.0.reader);
        background::start(move || ledger(&reader, &query, sender));
        found
    }

    fn latest(&self, query: Query, most: usize) -> Work<Vec<LedgerEntry>> {
        let reader = Arc::clone(&self.0.reader);
        background::run(move || latest(&reader, &query, most))
    }

    fn removed(&self) -> Entries<RemovedEntry> {
        let (sender, found) = Entries::channel(ENTRIES_AHEAD);
        let reader = Arc::clone(&self.0.reader);
        background::start(move || removed(&reader, sender));
        found
    }

    /// Forgotten when the archive is closed.
    fn set_paused(&self, model: ModelName, paused: bool) -> Work<()> {
        let set = |_| self.0.index.write(|index| index.set_paused(model, paused));
        Box::pin(ready(self.compactor().map(set)))
    }

    fn paused(&self) -> Work<Vec<ModelName>> {
        Box::pin(ready(Ok(self.0.index.read(Index::paused))))
    }

    fn counts(&self) -> Work<Counts> {
        Box::pin(ready(Ok(self.0.reader.ask(Index::counts))))
    }

    fn usage(&self) -> Work<Option<StorageUsage>> {
        let reader = self.reader();
        background::run(move || Ok(Some(usage(&reader)?)))
    }

    fn health(&self) -> Work<ArchiveHealth> {
        Box::pin(ready(Ok(self.0.health())))
    }
}

impl fmt::Display for DiskArchive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "disk archive at {}", self.0.path.display())
    }
}

impl fmt::Debug for DiskArchive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskArchive")
            .field("path", &self.0.path)
            .field("deliveries", &self.0.reader.ask(Index::len))
            .finish_non_exhaustive()
    }
}
