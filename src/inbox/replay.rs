//! Runs archived deliveries through a handler again.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_core::Stream;
use http::StatusCode;
use tokio::{
    sync::{Semaphore, mpsc},
    time::{Interval, MissedTickBehavior, interval},
};

use super::Inbox;
use crate::{
    archive::{ArchiveError, Query},
    delivery::{Delivery, DeliveryId, State},
    process::{Job, RequestContext, Trigger},
    provider::Model,
    signature::SignatureError,
    worker::{BoxedHandler, HandlerService, RunResult},
};

/// How many results are buffered.
const BUFFERED: usize = 16;

/// A replay that is being configured. Made by [`Inbox::replay`].
#[must_use = "call start() to replay"]
pub struct Replay {
    inbox: Inbox,
    query: Query,
    handler: Option<BoxedHandler>,
    concurrency: usize,
    interval: Duration,
    verify: bool,
}

/// Why a replay cannot be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// There is no handler.
    #[error("no service to replay through; call Inbox::start_workers first, or Replay::through")]
    NoService,
    /// The archive could not be read.
    #[error("the deliveries to replay could not be selected")]
    Archive(#[from] ArchiveError),
}

impl Inbox {
    /// Runs the deliveries that `query` selects through their handler again, in any state. By default one at a
    /// time, in the order of the archive, through the service of the [workers](Inbox::start_workers).
    ///
    /// The handler gets the head and the time of the original, and [`Attempt`](crate::layer::Attempt) says that it is a
    /// replay. The state of settled deliveries does not change. A delivery that is not settled is processed
    /// as one more attempt.
    ///
    /// ```
    /// # async fn of(inbox: &tower_inbox::Inbox) -> Result<(), Box<dyn std::error::Error>> {
    /// use tower_inbox::{archive::Query, delivery::StateKind};
    ///
    /// let processed = Query::all().state(StateKind::Processed);
    /// let mut replaying = inbox.replay(processed).rate(50).concurrency(4).start().await?;
    /// while let Some(replayed) = replaying.next().await {
    ///     println!("{}: {:?}, {} left", replayed.id, replayed.result, replaying.left());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn replay(&self, query: Query) -> Replay {
        Replay {
            inbox: self.clone(),
            query,
            handler: self.pool.handler(),
            concurrency: 1,
            interval: Duration::ZERO,
            verify: false,
        }
    }
}

impl Replay {
    /// Replays through this service instead of that of the workers.
    pub fn through<B>(mut self, service: impl HandlerService<B>) -> Self {
        self.handler = Some(BoxedHandler::new(service));
        self
    }

    /// Sets the maximum number of deliveries a second. Default: unlimited.
    pub fn rate(mut self, per_second: u32) -> Self {
        self.interval = Duration::from_secs(1) / per_second.max(1);
        self
    }

    /// Sets the maximum number of concurrent deliveries. Default: 1.
    pub fn concurrency(mut self, deliveries: usize) -> Self {
        self.concurrency = deliveries.max(1);
        self
    }

    /// Verifies each delivery with the secrets that its model has now, as of the time of its receipt. Deliveries that
    /// were authenticated by a token cannot be verified, because tokens are never stored.
    pub fn verified(mut self) -> Self {
        self.verify = true;
        self
    }

    /// Starts the replay. The selection is fixed from now on. [`Inbox::shutdown`] ends it early: running handlers go
    /// on, the rest is left out.
    ///
    /// # Errors
    ///
    /// [`ReplayError::NoService`] without workers and [`through`](Self::through); [`ReplayError::Archive`] if the
    /// archive cannot be read.
    pub async fn start(self) -> Result<Replaying, ReplayError> {
        let handler = self.handler.ok_or(ReplayError::NoService)?;
        let ids = selected(&self.inbox, self.query).await?;
        let (results, receiver) = mpsc::channel(BUFFERED);
        let replaying = Replaying { results: receiver, left: ids.len() };
        let pool = self.inbox.pool.clone();
        let one = ReplayOne { inbox: self.inbox, handler, verify: self.verify };
        let (concurrency, interval) = (self.concurrency, self.interval);
        pool.clone().spawn(async move {
            let replaying = replay_all(one, ids, results, concurrency, interval);
            pool.shutdown_state().until_started(replaying).await.unwrap_or_default();
        });
        Ok(replaying)
    }
}

async fn selected(inbox: &Inbox, query: Query) -> Result<Vec<DeliveryId>, ArchiveError> {
    let mut entries = inbox.archive().ledger(query);
    let mut ids = Vec::new();
    while let Some(entry) = entries.next().await {
        ids.push(entry?.id);
    }
    Ok(ids)
}

async fn replay_all(
    one: ReplayOne,
    ids: Vec<DeliveryId>,
    results: mpsc::Sender<Replayed>,
    concurrency: usize,
    interval: Duration,
) {
    let slots = Arc::new(Semaphore::new(concurrency));
    let mut ticks = ticks(interval);
    for id in ids {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        if let Some(ticks) = &mut ticks {
            ticks.tick().await;
        }
        // The receiver was dropped.
        if results.is_closed() {
            return;
        }
        let (one, results) = (one.clone(), results.clone());
        one.inbox.pool.clone().spawn(async move {
            let result = one.replay(id).await;
            drop(results.send(Replayed { id, result }).await);
            drop(slot);
        });
    }
}

fn ticks(period: Duration) -> Option<Interval> {
    let mut ticks = (!period.is_zero()).then(|| interval(period))?;
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    Some(ticks)
}

#[derive(Clone)]
struct ReplayOne {
    inbox: Inbox,
    handler: BoxedHandler,
    verify: bool,
}

impl ReplayOne {
    async fn replay(&self, id: DeliveryId) -> Result<StatusCode, NotReplayed> {
        let Inbox { processor, models, .. } = &self.inbox;
        let archived = processor.archive().get(id).await.map_err(NotReplayed::Archive)?;
        let archived = archived.ok_or(NotReplayed::Removed)?;
        let delivery = archived.delivery;
        let (model, captures) = models.of_delivery(&delivery).ok_or(NotReplayed::NoModel)?;
        if self.verify {
            verify(&model, &delivery)?;
        }
        let context = RequestContext::archived(&delivery, model, captures);
        let acquired = processor.archive().acquire(processor.acquire(id)).await;
        let acquired = acquired.map_err(NotReplayed::Archive)?;
        let in_flight = match (acquired.lease, acquired.state) {
            (Some(lease), _) => Some(processor.in_flight(lease, &context)),
            (None, State::Leased { .. }) => return Err(NotReplayed::Busy),
            (None, _) => None,
        };
        let job = Job { delivery, context, in_flight, trigger: Trigger::Replay };
        match self.handler.run(processor.clone(), job).await {
            RunResult::Responded(status) => Ok(status),
            RunResult::Failed => Err(NotReplayed::Failed),
            RunResult::Requeued => Err(NotReplayed::Busy),
        }
    }
}

/// With the secrets of now, as of the time of receipt, when its timestamp was recent.
fn verify(model: &Model, delivery: &Delivery) -> Result<(), NotReplayed> {
    let head = delivery.head().to_parts();
    let verified = model.scheme().verify(&head, delivery.body(), delivery.received_at());
    verified.map(drop).map_err(NotReplayed::Signature)
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay")
            .field("query", &self.query)
            .field("concurrency", &self.concurrency)
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}

/// The result of replaying one delivery.
#[derive(Debug)]
#[non_exhaustive]
pub struct Replayed {
    /// The delivery.
    pub id: DeliveryId,
    /// The status that its handler returned, or why it did not run.
    pub result: Result<StatusCode, NotReplayed>,
}

impl Replayed {
    /// Returns true if the handler accepted the delivery.
    pub fn is_processed(&self) -> bool {
        self.result.as_ref().is_ok_and(StatusCode::is_success)
    }
}

/// Why a delivery was not replayed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotReplayed {
    /// It was removed after the replay was started.
    #[error("the delivery was removed")]
    Removed,
    /// It is being processed, or another delivery of the same inference is.
    #[error("the delivery or its inference is being processed")]
    Busy,
    /// It cannot be read.
    #[error("the delivery cannot be read")]
    Archive(#[source] ArchiveError),
    /// The inbox has no model of this name any more.
    #[error("no such model; add one of the same name")]
    NoModel,
    /// It cannot be verified with the secrets that the model has now.
    #[error("the signature was rejected")]
    Signature(#[source] SignatureError),
    /// The service failed or was not ready.
    #[error("the service of the handlers failed or was not ready")]
    Failed,
}

/// A running replay: a [`Stream`] of results. Dropping it ends the replay; running handlers go on.
pub struct Replaying {
    results: mpsc::Receiver<Replayed>,
    left: usize,
}

impl Replaying {
    /// The next result; None at the end. With a concurrency above 1, not in the order of the archive.
    ///
    /// # Cancel safety
    ///
    /// No result is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Replayed> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// The number of results to come; after the end, of deliveries that were left out because the inbox was shut down.
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
