use std::{
    fmt,
    future::ready,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::sync::oneshot;

use super::{
    DiskArchiveBuilder, background,
    handle::Handle,
    index::Index,
    keeper::Keeper,
    ledger::{self, ledger},
    plan::Command,
    reader::Reader,
    real_disk::RealDisk,
    request::{Request, ask},
    scan::{AHEAD, scan},
    stats::room,
};
use crate::{
    archive::{Archive, ArchiveError, Archived, Entries, Line, Query, Room, Work},
    delivery::{Delivery, DeliveryId, InferenceDigest, Outcome, Receipt},
};

/// Keeps deliveries in a directory of WARC files, readable with `less` and with every tool for web archives.
///
/// A receipt is given once the operating system has said that the bytes are on stable storage (`fdatasync`). All that
/// waits is written in one go and synced once, so that many deliveries at a time cost little more than one.
///
/// Cheap to clone. When the last clone is dropped, what waits is written, and the directory is free to be opened again.
/// That blocks for as long as the disk takes; see [`DiskArchive::close`].
///
/// It looks after itself on a thread of its own: segments are sealed, get index files, are compressed, and what is too
/// old is removed; see [`DiskArchiveBuilder`].
///
/// Memory: some 90 bytes for each delivery that is in the directory or is remembered, some 50 more for each that was
/// processed, and what waits to be written.
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
#[doc = include_str!("../../../docs/archive.md")]
#[derive(Clone)]
pub struct DiskArchive(Arc<Handle>);

impl DiskArchive {
    /// Opens the archive in this directory, or makes one.
    ///
    /// What a crash left half written is cut, damaged records are skipped and logged. Reads every segment once that has
    /// no index file.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Locked`] if another process, or another archive of this one, has the directory open;
    /// [`ArchiveError::Io`] if it cannot be read or repaired.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, ArchiveError> {
        Self::builder(path).open().await
    }

    /// For other choices than the defaults.
    ///
    /// ```
    /// # use tower_inbox::archive::DiskArchive;
    /// let builder = DiskArchive::builder("inbox").segment_size(16 << 20).waiting(1024);
    /// # let _ = builder;
    /// ```
    pub fn builder(path: impl AsRef<Path>) -> DiskArchiveBuilder {
        DiskArchiveBuilder::new(path.as_ref().to_owned())
    }

    /// Opens the archive in this directory to be read only, also while another process writes to it. Takes no lock and
    /// changes no file.
    ///
    /// It shows what was there when it was opened. What is removed later is not found any more.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Io`] if the directory cannot be read, or is not there.
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

    /// Does at once what the archive does by itself from time to time: seals segments that are old enough, writes index
    /// files, compresses, removes what is too old or too much, and what other processes have asked for.
    ///
    /// # Errors
    ///
    /// If something could not be done. The rest was; what was not is tried again the next time.
    ///
    /// # Cancel safety
    ///
    /// It goes on if the future is dropped.
    pub async fn upkeep_now(&self) -> Result<(), ArchiveError> {
        let keeper = self.keeper()?;
        background::run(move || keeper.upkeep()).await
    }

    /// Has the process that writes to this directory remove what `query` selects, and waits for as long as `patience`.
    /// Gives how many deliveries were removed, durably; `None` if nobody did it in that time. Then the request stays, and
    /// is done by who has the directory open, or opens it next.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Io`] if the request could not be written durably.
    pub async fn ask_to_remove(
        path: impl AsRef<Path>,
        query: Query,
        patience: Duration,
    ) -> Result<Option<u64>, ArchiveError> {
        Self::ask(path.as_ref().to_owned(), Request::Remove(query), patience).await
    }

    /// Has the process that writes to this directory make pending again what `query` selects of the dead, the
    /// undecodable and the failed, and waits for as long as `patience`. Gives of how many deliveries that was done;
    /// `None` if nobody did it in that time. Then the request stays, and is done by who has the directory open, or opens
    /// it next.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Io`] if the request could not be written durably.
    pub async fn ask_to_retry(
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
        background::run(move || Ok(ask(&RealDisk, &path, &wanted, patience)?)).await
    }

    /// Writes what waits and lets go of the directory. From now on, whatever is to be written is refused as
    /// [`ArchiveError::Closed`], by every clone. Reading goes on.
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
        // It fails only when the runtime ends, and then dropping the handle stops the writer.
        drop(closing.await);
    }

    pub(super) fn from_handle(handle: Handle) -> Self {
        Self(Arc::new(handle))
    }

    pub(super) fn reader(&self) -> Arc<Reader> {
        Arc::clone(&self.0.reader)
    }

    fn keeper(&self) -> Result<Arc<Keeper>, ArchiveError> {
        self.0.keeper.clone().ok_or_else(|| ArchiveError::ReadOnly { path: self.0.path.clone() })
    }

    /// A repeat takes little room, and its sender can be told that it is kept.
    fn admit(&self, delivery: &Delivery) -> Result<(), ArchiveError> {
        self.keeper()?;
        self.0.space.admit(delivery.body().len()).or_else(|full| {
            let first = self.0.reader.ask(|index| index.first(delivery.fingerprint()));
            first.map(|_| ()).ok_or(full)
        })
    }

    fn submit<T: Send + 'static>(
        &self,
        command: Command,
        answer: oneshot::Receiver<Result<T, ArchiveError>>,
    ) -> Work<T> {
        match self.0.queue.push(command) {
            Ok(()) => Box::pin(async { answer.await.unwrap_or(Err(ArchiveError::Closed)) }),
            Err(error) => Box::pin(ready(Err(error))),
        }
    }
}

impl Archive for DiskArchive {
    fn append(&self, delivery: Delivery) -> Work<Receipt> {
        if let Err(error) = self.admit(&delivery) {
            return Box::pin(ready(Err(error)));
        }
        let (reply, answer) = oneshot::channel();
        self.submit(Command::Append(delivery, reply), answer)
    }

    fn settle(&self, id: DeliveryId, outcome: Outcome) -> Work<()> {
        if let Err(error) = self.keeper() {
            return Box::pin(ready(Err(error)));
        }
        let (reply, answer) = oneshot::channel();
        self.submit(Command::Settle(id, outcome, reply), answer)
    }

    fn outcome(&self, id: DeliveryId) -> Work<Option<Outcome>> {
        let outcome = self.0.reader.ask(|index| index.get(id).and_then(|kept| kept.outcome()));
        Box::pin(ready(Ok(outcome)))
    }

    fn get(&self, id: DeliveryId) -> Work<Option<Archived>> {
        let reader = Arc::clone(&self.0.reader);
        background::run(move || reader.get(id, &mut None))
    }

    fn scan(&self, query: Query) -> Entries {
        let (sender, found) = Entries::channel(AHEAD);
        let reader = Arc::clone(&self.0.reader);
        background::start(move || scan(&reader, &query, sender));
        found
    }

    fn ledger(&self, query: Query) -> Entries<Line> {
        let (sender, found) = Entries::channel(ledger::AHEAD);
        let reader = Arc::clone(&self.0.reader);
        background::start(move || ledger(&reader, &query, sender));
        found
    }

    fn processed_as(&self, inference: InferenceDigest) -> Work<Option<(DeliveryId, Outcome)>> {
        Box::pin(ready(Ok(self.0.reader.ask(|index| index.processed_as(inference)))))
    }

    fn room(&self) -> Work<Option<Room>> {
        let reader = self.reader();
        background::run(move || Ok(Some(room(&reader)?)))
    }

    fn remove(&self, query: Query) -> Work<u64> {
        match self.keeper() {
            Ok(keeper) => background::run(move || keeper.remove(&query)),
            Err(error) => Box::pin(ready(Err(error))),
        }
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
