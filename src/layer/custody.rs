use std::{fmt, sync::Arc};

use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::dedup::{Turn, Turns};
use crate::{
    archive::Archive,
    delivery::{DeliveryId, Outcome},
};

/// An archive, and the work that is going on with what it holds.
///
/// There should be one for each archive: what keeps a delivery from being handled twice at the same time is in here.
/// Cheap to clone; clones are the same custody.
#[derive(Clone)]
pub struct Custody(Arc<Inner>);

struct Inner {
    archive: Box<dyn Archive>,
    tasks: TaskTracker,
    turns: Turns,
}

impl Custody {
    /// Takes deliveries into the custody of `archive`, which may be an `Arc` that is used elsewhere, too.
    pub fn new(archive: impl Archive) -> Self {
        Self::boxed(Box::new(archive))
    }

    pub(crate) fn boxed(archive: Box<dyn Archive>) -> Self {
        Self(Arc::new(Inner { archive, tasks: TaskTracker::new(), turns: Turns::default() }))
    }

    /// The archive.
    pub fn archive(&self) -> &dyn Archive {
        &*self.0.archive
    }

    /// Waits until every delivery that was begun is answered, archived and settled. New ones may come meanwhile: stop
    /// the server first.
    ///
    /// # Cancel safety
    ///
    /// Nothing changes when the future is dropped.
    pub async fn settled(&self) {
        // A closed tracker takes new work all the same; it only lets us wait.
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    /// How many deliveries are being archived, handled or settled.
    pub fn in_progress(&self) -> usize {
        self.0.tasks.len()
    }

    pub(super) fn turns(&self) -> &Turns {
        &self.0.turns
    }

    /// Does work that goes on when the client hangs up.
    pub(super) fn spawn<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.0.tasks.spawn(work)
    }

    /// Records the outcome without letting the answer wait for it. Nobody else gets the `turn` until it is durable.
    pub(super) fn settle(&self, id: DeliveryId, outcome: Outcome, turn: Turn) {
        tracing::Span::current().record("outcome", outcome.kind().as_str());
        tracing::info!(%outcome, "settled");
        let settling = self.0.archive.settle(id, outcome);
        let work = async move {
            if let Err(error) = settling.await {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the outcome could not be recorded: the delivery stays as it was, and may be handled again"
                );
            }
            drop(turn);
        };
        drop(self.spawn(work.in_current_span()));
    }
}

impl fmt::Debug for Custody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Custody")
            .field("archive", &self.0.archive)
            .field("in_progress", &self.in_progress())
            .finish_non_exhaustive()
    }
}
