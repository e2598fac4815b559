use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::SystemTime,
};

use futures_core::Stream;
use tokio::sync::mpsc;

use super::{ArchiveError, Archived};
use crate::delivery::{DeliveryId, Fingerprint, ModelName, State};

/// The metadata of a delivery, available without reading its head and body.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LedgerEntry {
    /// The delivery.
    pub id: DeliveryId,
    /// Its model.
    pub model: ModelName,
    /// When it was received.
    pub received_at: SystemTime,
    /// Its state.
    pub state: State,
}

impl LedgerEntry {
    /// For archives: creates the ledger entry of a delivery.
    pub fn new(id: DeliveryId, model: ModelName, received_at: SystemTime, state: State) -> Self {
        Self { id, model, received_at, state }
    }
}

/// The ledger entry of a delivery without a body, for copies.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RemovedEntry {
    /// The ledger entry.
    pub entry: LedgerEntry,
    /// The fingerprint of the delivery. Only its first 12 bytes are known: archives keep and compare no more.
    pub fingerprint: Fingerprint,
}

impl RemovedEntry {
    /// For archives: creates the entry of a delivery whose fingerprint has this prefix.
    pub fn new(entry: LedgerEntry, prefix: [u8; 12]) -> Self {
        let mut bytes = [0; 32];
        bytes.iter_mut().zip(prefix).for_each(|(byte, known)| *byte = known);
        Self { entry, fingerprint: Fingerprint::from_bytes(bytes) }
    }
}

/// The deliveries found by a scan, in order; for a ledger, [`LedgerEntry`]s. A [`Stream`]; dropping
/// it ends the scan.
///
/// A damaged record yields an error at its position, and the scan continues after it. If the producer of the entries
/// fails, the last item is [`ArchiveError::Incomplete`].
///
/// ```
/// use tower_inbox::archive::{ArchiveError, Entries};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let (sender, mut entries) = Entries::channel(16);
/// tokio::spawn(async move {
///     if sender.send(Ok("an entry")).await {
///         // Without this the entries would end with an error.
///         sender.finish();
///     }
/// });
/// assert_eq!(entries.next().await.unwrap().unwrap(), "an entry");
/// assert!(entries.next().await.is_none());
/// # }
/// ```
pub struct Entries<T = Archived>(Source<T>);

enum Source<T> {
    Ready(VecDeque<Result<T, ArchiveError>>),
    Channel { found: mpsc::Receiver<Result<T, ArchiveError>>, finished: Arc<AtomicBool> },
}

impl<T> Entries<T> {
    /// For archives: creates a stream of entries that are sent one by one. At most `capacity` sent entries are
    /// buffered.
    ///
    /// The stream ends without an error only if the sender is [finished](EntrySender::finish).
    ///
    /// # Panics
    ///
    /// If `capacity` is 0.
    pub fn channel(capacity: usize) -> (EntrySender<T>, Self) {
        let (sender, found) = mpsc::channel(capacity);
        let finished = Arc::new(AtomicBool::new(false));
        let entries = Self(Source::Channel { found, finished: Arc::clone(&finished) });
        (EntrySender { sender, finished }, entries)
    }

    /// For archives: creates a stream of entries that are already available.
    pub fn ready(entries: impl IntoIterator<Item = Result<T, ArchiveError>>) -> Self {
        Self(Source::Ready(entries.into_iter().collect()))
    }

    /// Returns the next entry, or `None` at the end.
    ///
    /// # Errors
    ///
    /// If a record cannot be read. The scan can be continued.
    ///
    /// # Cancel safety
    ///
    /// No entry is lost if the future is dropped.
    pub async fn next(&mut self) -> Option<Result<T, ArchiveError>> {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<T, ArchiveError>>> {
        let (found, finished) = match &mut self.0 {
            Source::Ready(entries) => return Poll::Ready(entries.pop_front()),
            Source::Channel { found, finished } => (found, finished),
        };
        let next = ready!(found.poll_recv(context));
        // The error is returned once; then the stream ends.
        let interrupted = next.is_none() && !finished.swap(true, Ordering::AcqRel);
        Poll::Ready(if interrupted { Some(Err(ArchiveError::Incomplete)) } else { next })
    }
}

/// Sends the entries of a scan; see [`Entries::channel`].
#[derive(Debug)]
#[must_use = "entries end with an error unless their sender is finished"]
pub struct EntrySender<T = Archived> {
    sender: mpsc::Sender<Result<T, ArchiveError>>,
    finished: Arc<AtomicBool>,
}

impl<T> EntrySender<T> {
    /// Sends one entry, waiting for free capacity. Returns `false` if the stream was dropped.
    pub async fn send(&self, entry: Result<T, ArchiveError>) -> bool {
        self.sender.send(entry).await.is_ok()
    }

    /// Sends one entry like [`send`](Self::send), but blocks the thread.
    ///
    /// # Panics
    ///
    /// If called within an asynchronous execution context.
    pub fn blocking_send(&self, entry: Result<T, ArchiveError>) -> bool {
        self.sender.blocking_send(entry).is_ok()
    }

    /// Marks the stream as complete. A sender that is dropped without this call counts as failed.
    pub fn finish(self) {
        self.finished.store(true, Ordering::Release);
    }
}

impl<T> Unpin for Entries<T> {}

impl<T> Stream for Entries<T> {
    type Item = Result<T, ArchiveError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(context)
    }
}

impl<T> fmt::Debug for Entries<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entries").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn entries_whose_producer_is_gone_end_with_an_error() {
        for finishes in [true, false] {
            let (sender, mut entries) = Entries::channel(1);
            assert!(sender.send(Ok(1)).await);
            if finishes {
                sender.finish();
            } else {
                drop(sender);
            }
            assert!(matches!(entries.next().await, Some(Ok(1))));
            let last = entries.next().await;
            let interrupted = matches!(last, Some(Err(ArchiveError::Incomplete)));
            assert_eq!(interrupted, !finishes, "{last:?}");
            assert!(entries.next().await.is_none());
        }
    }

    #[tokio::test]
    async fn send_reports_a_refused_connection() {
        let (sender, entries) = Entries::channel(1);
        drop(entries);
        assert!(!sender.send(Ok(1)).await);
    }

    #[tokio::test]
    async fn ready_entries_come_in_order() {
        let mut entries = Entries::ready([Ok(1), Ok(2)]);
        assert!(matches!(entries.next().await, Some(Ok(1))));
        assert!(matches!(entries.next().await, Some(Ok(2))));
        assert!(entries.next().await.is_none());
    }
}
