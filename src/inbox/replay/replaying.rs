use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::Stream;
use tokio::sync::mpsc;

use super::Replayed;

/// A replay that is going on: a [`Stream`] of results. Dropping it ends the replay; what a handler is at comes to its
/// end.
pub struct Replaying {
    results: mpsc::Receiver<Replayed>,
    left: usize,
}

impl Replaying {
    pub(super) fn new(results: mpsc::Receiver<Replayed>, selected: usize) -> Self {
        Self { results, left: selected }
    }

    /// The next result; `None` at the end. With a concurrency above one, not in the order of the archive.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Replayed> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// How many results are still to come; after the end, how many will not, since the inbox was stopped.
    pub fn left(&self) -> usize {
        self.left
    }
}

impl Stream for Replaying {
    type Item = Replayed;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Replayed>> {
        let next = ready!(self.results.poll_recv(context));
        self.left = self.left.saturating_sub(usize::from(next.is_some()));
        Poll::Ready(next)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.left))
    }
}

impl fmt::Debug for Replaying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replaying").field("left", &self.left).finish_non_exhaustive()
    }
}
