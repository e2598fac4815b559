use std::{sync::Arc, time::Duration};

use http::{Request, Response};
use tokio::{
    sync::{Semaphore, mpsc},
    time::{Interval, MissedTickBehavior, interval},
};
use tower_service::Service;

use super::{Replayed, Replaying, one::One};
use crate::{
    archive::{ArchiveError, Query},
    delivery::DeliveryId,
    inbox::{
        Inbox,
        hand::{Hand, Hands},
        staff::Staff,
    },
    layer::InboxBody,
};

/// How many results wait to be taken.
const AHEAD: usize = 16;

/// Archived deliveries that are to go through a handler again. Made by [`Inbox::replay`].
#[must_use = "call start() to replay"]
pub struct Replay {
    inbox: Inbox,
    query: Query,
    hand: Option<Box<dyn Hand>>,
    concurrency: usize,
    between: Duration,
    verify: bool,
}

/// Why a replay does not begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// There is nothing to replay through.
    #[error("there is no service to replay through: call Inbox::work first, or Replay::through")]
    NoService,
    /// It cannot be found out what is to be replayed.
    #[error("cannot find out what is to be replayed")]
    Archive(#[from] ArchiveError),
}

impl Inbox {
    /// Sends what `query` selects through its handler again, whatever became of it before. By default one after the
    /// other, in the order of the archive, through the service of the [workers](Inbox::work).
    ///
    /// The handler gets the head and the time of the original, and [`Attempt`](crate::layer::Attempt) says that it is a
    /// replay. Nothing archived changes; the outcome is added. What was settled stays as it was if a replay of it fails;
    /// of what was not, a replay is one attempt more.
    ///
    /// ```
    /// # async fn of(inbox: &tower_inbox::Inbox) -> Result<(), Box<dyn std::error::Error>> {
    /// use tower_inbox::{archive::Query, delivery::OutcomeKind};
    ///
    /// let undecodable = Query::all().outcome(OutcomeKind::Undecodable);
    /// let mut replaying = inbox.replay(undecodable).rate(50).concurrency(4).start().await?;
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
            hand: self.staff.hand(),
            concurrency: 1,
            between: Duration::ZERO,
            verify: false,
        }
    }
}

impl Replay {
    /// Through this service instead of that of the workers. For its type see [`Inbox::work`].
    pub fn through<B: Send + 'static>(
        mut self,
        service: impl Service<
            Request<InboxBody<B>>,
            Response = Response<impl Send + 'static>,
            Error: Send,
            Future: Send,
        > + Clone
        + Send
        + 'static,
    ) -> Self {
        self.hand = Some(Box::new(Hands::<_, B>::of(service)));
        self
    }

    /// At most so many a second.
    pub fn rate(mut self, per_second: u32) -> Self {
        self.between = Duration::from_secs(1) / per_second.max(1);
        self
    }

    /// At most so many at the same time. By default one, so that the order is kept.
    pub fn concurrency(mut self, at_a_time: usize) -> Self {
        self.concurrency = at_a_time.max(1);
        self
    }

    /// Only what can be verified with the secrets that its model has now, as of the time of its receipt. Tokens are
    /// never archived: what was proved by one cannot be verified again.
    pub fn verified(mut self) -> Self {
        self.verify = true;
        self
    }

    /// Begins. What is selected is fixed from now on. [`Inbox::stop`] ends it early: what is at a handler comes to its
    /// end, the rest is left.
    ///
    /// # Errors
    ///
    /// [`ReplayError::NoService`] without workers and [`through`](Self::through); [`ReplayError::Archive`] if the
    /// archive cannot be read.
    pub async fn start(self) -> Result<Replaying, ReplayError> {
        let hand = self.hand.ok_or(ReplayError::NoService)?;
        let ids = selected(&self.inbox, self.query).await?;
        let (results, receiver) = mpsc::channel(AHEAD);
        let replaying = Replaying::new(receiver, ids.len());
        let inbox = self.inbox;
        let one = One {
            models: inbox.models.clone(),
            custody: inbox.custody.clone(),
            hand,
            verify: self.verify,
        };
        let drive =
            Drive { one, results, staff: inbox.staff.clone(), concurrency: self.concurrency };
        let (custody, between) = (inbox.custody, self.between);
        inbox.staff.employ(async move {
            custody.schedule().until_stopped(drive.all(ids, between)).await;
        });
        Ok(replaying)
    }
}

/// Hands one delivery after the other to those who replay it.
struct Drive {
    one: One,
    results: mpsc::Sender<Replayed>,
    staff: Staff,
    concurrency: usize,
}

impl Drive {
    async fn all(self, ids: Vec<DeliveryId>, between: Duration) {
        let room = Arc::new(Semaphore::new(self.concurrency));
        let mut pace = pace(between);
        for id in ids {
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
            if let Some(pace) = &mut pace {
                pace.tick().await;
            }
            // Nobody wants to know any more.
            if self.results.is_closed() {
                return;
            }
            let (one, results) = (self.one.another(), self.results.clone());
            self.staff.employ(async move {
                drop(results.send(one.replay(id).await).await);
                drop(permit);
            });
        }
    }
}

fn pace(between: Duration) -> Option<Interval> {
    let mut pace = (!between.is_zero()).then(|| interval(between))?;
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    Some(pace)
}

async fn selected(inbox: &Inbox, query: Query) -> Result<Vec<DeliveryId>, ArchiveError> {
    let mut lines = inbox.archive().ledger(query);
    let mut ids = Vec::new();
    while let Some(line) = lines.next().await {
        ids.push(line?.id);
    }
    Ok(ids)
}

impl std::fmt::Debug for Replay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replay")
            .field("query", &self.query)
            .field("concurrency", &self.concurrency)
            .field("between", &self.between)
            .finish_non_exhaustive()
    }
}
