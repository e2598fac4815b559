use std::{
    fmt,
    future::ready,
    path::Path,
    sync::{Arc, Mutex, RwLock},
};

use tokio::sync::{mpsc, oneshot};

use super::{
    DiskArchiveBuilder, background,
    failure::Failure,
    handle::Handle,
    plan::Command,
    probe::warn_if_not_durable,
    queue::Queue,
    reader::Reader,
    recovery::recover,
    scan::{AHEAD, scan},
    writer::Writer,
};
use crate::{
    archive::{Archive, ArchiveError, Archived, Entries, Query, Work},
    delivery::{Delivery, DeliveryId, Outcome, Receipt},
};

/// Keeps deliveries in a directory of WARC files, readable with `less` and with every tool for web archives.
///
/// A receipt is given once the operating system has said that the bytes are on stable storage (`fdatasync`). All that
/// waits is written in one go and synced once, so that many deliveries at a time cost little more than one.
///
/// Cheap to clone. When the last clone is dropped, what waits is written, and the directory is free to be opened again.
/// That blocks for as long as the disk takes; see [`DiskArchive::close`].
///
/// Memory: some 300 bytes for each delivery in the directory, and what waits to be written.
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
    /// What a crash left half written is cut, damaged records are skipped and logged. Reads every segment once: this
    /// takes as long as the disk needs for it.
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

    pub(super) fn open_blocking(options: DiskArchiveBuilder) -> Result<Self, ArchiveError> {
        let DiskArchiveBuilder { path, segment_size, waiting, probe, medium } = options;
        medium.create_dir(&path).map_err(Failure::to("create", &path))?;
        let lock_path = path.join("inbox.lock");
        let lock = medium.lock(&lock_path).map_err(Failure::to("lock", &lock_path))?;
        let lock = lock.ok_or_else(|| ArchiveError::Locked { path: path.clone() })?;
        if probe {
            warn_if_not_durable(&*medium, &path);
        }
        let (index, log) = recover(Arc::clone(&medium), path.clone(), segment_size)?;
        let (index, queue) = (Arc::new(RwLock::new(index)), Arc::new(Queue::new(waiting)));
        let reader = Arc::new(Reader { medium, dir: path.clone(), index: Arc::clone(&index) });
        let writer = Writer { log, index, queue: Arc::clone(&queue), lock };
        let writer =
            Mutex::new(Some(writer.start().map_err(Failure::to("start a writer of", &path))?));
        Ok(Self(Arc::new(Handle { path, reader, queue, writer })))
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
        let (reply, answer) = oneshot::channel();
        self.submit(Command::Append(delivery, reply), answer)
    }

    fn settle(&self, id: DeliveryId, outcome: Outcome) -> Work<()> {
        let (reply, answer) = oneshot::channel();
        self.submit(Command::Settle(id, outcome, reply), answer)
    }

    fn outcome(&self, id: DeliveryId) -> Work<Option<Outcome>> {
        let outcome = self.0.reader.index().get(id).and_then(|kept| kept.outcome.clone());
        Box::pin(ready(Ok(outcome)))
    }

    fn get(&self, id: DeliveryId) -> Work<Option<Archived>> {
        let reader = Arc::clone(&self.0.reader);
        background::run(move || reader.get(id))
    }

    fn scan(&self, query: Query) -> Entries {
        let (sender, found) = mpsc::channel(AHEAD);
        let reader = Arc::clone(&self.0.reader);
        background::start(move || scan(&reader, &query, &sender));
        Entries::from_channel(found)
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
            .field("deliveries", &self.0.reader.index().len())
            .finish_non_exhaustive()
    }
}
