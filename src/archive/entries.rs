use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;
use tokio::sync::mpsc;

use super::{ArchiveError, Archived};

/// What a scan finds, one delivery after the other; of a ledger, one [`Line`](super::Line) after the other. A
/// [`Stream`]; dropping it ends the scan.
///
/// A damaged record is an error in its place, and the scan goes on behind it.
pub struct Entries<T = Archived>(mpsc::Receiver<Result<T, ArchiveError>>);

impl<T> Entries<T> {
    /// For archives: what is sent to the channel is what the scan finds.
    pub fn from_channel(found: mpsc::Receiver<Result<T, ArchiveError>>) -> Self {
        Self(found)
    }

    /// The next one; `None` at the end.
    ///
    /// # Errors
    ///
    /// If a record cannot be read. The scan may be continued.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Result<T, ArchiveError>> {
        poll_fn(|context| self.0.poll_recv(context)).await
    }
}

impl<T> Stream for Entries<T> {
    type Item = Result<T, ArchiveError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}

impl<T> fmt::Debug for Entries<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entries").finish_non_exhaustive()
    }
}
