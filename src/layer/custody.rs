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
/// The layers from the archive inwards share one. Cheap to clone.
#[derive(Clone)]
pub struct Custody {
    archive: Arc<dyn Archive>,
    tasks: TaskTracker,
    turns: Turns,
}

impl Custody {
    /// Takes deliveries into the custody of `archive`.
    pub fn new(archive: impl Archive) -> Self {
        Self::shared(Arc::new(archive))
    }

    /// The same for an archive that is used elsewhere, too.
    pub fn shared(archive: Arc<dyn Archive>) -> Self {
        Self { archive, tasks: TaskTracker::new(), turns: Turns::default() }
    }

    /// The archive.
    pub fn archive(&self) -> &Arc<dyn Archive> {
        &self.archive
    }

    /// Waits until every delivery that was begun is answered, archived and settled. New ones may come meanwhile: stop
    /// the server first.
    ///
    /// # Cancel safety
    ///
    /// Nothing changes when the future is dropped.
    pub async fn settled(&self) {
        // A closed tracker takes new work all the same; it only lets us wait.
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// How many deliveries are being archived, handled or settled.
    pub fn in_progress(&self) -> usize {
        self.tasks.len()
    }

    pub(super) fn turns(&self) -> &Turns {
        &self.turns
    }

    /// Does work that goes on when the client hangs up.
    pub(super) fn spawn<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.tasks.spawn(work)
    }

    /// Records the outcome without letting the answer wait for it. Nobody else gets the `turn` until it is durable.
    pub(super) fn settle(&self, id: DeliveryId, outcome: Outcome, turn: Option<Turn>) {
        tracing::Span::current().record("outcome", outcome.kind().as_str());
        tracing::info!(%outcome, "settled");
        let settling = self.archive.settle(id, outcome);
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
            .field("archive", &self.archive)
            .field("in_progress", &self.in_progress())
            .finish_non_exhaustive()
    }
}
