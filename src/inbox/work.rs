//! What an inbox does with deliveries that no sender waits for.

use std::time::Duration;

use http::{Request, Response};
use tower_service::Service;

use super::{
    Counts, Inbox,
    hand::{Hand, Hands},
    sweep::sweep,
    worker::Worker,
};
use crate::{
    archive::{ArchiveError, Line, Query, retry},
    delivery::ModelName,
    layer::{InboxBody, Job},
};

impl Inbox {
    /// Starts the workers: from now on everything that is not settled is handled by `service` until it is, also what
    /// was left when the process ended the last time.
    ///
    /// `service` is what the layer goes around: with axum, the router before `.layer(inbox.layer())`. A router takes
    /// any body, so there its type has to be named: `inbox.work::<axum::body::Body>(routes.clone())`. The handler gets
    /// the same extensions as while its sender waits; the head is the one from the archive, without secrets, and
    /// [`Attempt`](crate::layer::Attempt) tells that it runs in the background.
    ///
    /// Once is enough; any further call does nothing.
    ///
    /// ```
    /// use http::{Request, Response};
    /// use tower::service_fn;
    /// use tower_inbox::{Inbox, MemoryArchive, Workers, layer::InboxBody};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let inbox = Inbox::builder(MemoryArchive::new()).background(Workers::new(8)).build()?;
    /// let handler = service_fn(async |_request: Request<InboxBody<String>>| {
    ///     Ok::<_, std::convert::Infallible>(Response::new(String::new()))
    /// });
    /// inbox.work(handler);
    /// inbox.stop(std::time::Duration::from_secs(10)).await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn work<B: Send + 'static>(
        &self,
        service: impl Service<
            Request<InboxBody<B>>,
            Response = Response<impl Send + 'static>,
            Error: Send,
            Future: Send,
        > + Clone
        + Send
        + 'static,
    ) {
        let limits = self.workers.limits;
        if !self.custody.schedule().begin(limits) {
            tracing::warn!("the inbox has workers already");
            return;
        }
        let hand = Hands::<_, B>::of(service);
        for _ in 0..limits.all {
            let (models, custody) = (self.models.clone(), self.custody.clone());
            self.staff.employ(Worker { models, custody, hand: hand.another() }.work());
        }
        let custody = self.custody.clone();
        self.staff.employ(async move { custody.schedule().until_stopped(sweep(&custody)).await });
        self.staff.know(Box::new(hand));
    }

    /// Ends well: workers take nothing any more, what is being handled may come to its end within `deadline`, and the
    /// rest is given back to the archive, where the next start finds it. Nothing counts as failed because of it.
    ///
    /// To be called when the server accepts no more connections. What comes all the same is archived and, in the
    /// background mode, accepted.
    ///
    /// # Cancel safety
    ///
    /// The workers stop all the same; only nobody waits for it.
    pub async fn stop(&self, deadline: Duration) {
        self.custody.schedule().stop();
        let ending = async {
            self.staff.dismiss().await;
            self.custody.settled().await;
        };
        if tokio::time::timeout(deadline, ending).await.is_ok() {
            return;
        }
        tracing::warn!(
            ?deadline,
            "some handlers did not end in time: their deliveries are given back"
        );
        self.staff.send_away().await;
        // What was given back becomes durable; handlers that a sender was waiting for are left to the runtime.
        drop(tokio::time::timeout(LAST_WORDS, self.custody.settled()).await);
    }

    /// Waits until nothing is left to be handled by workers, and everything that was begun is settled. What failed is
    /// waited for until it is processed or dead.
    ///
    /// # Cancel safety
    ///
    /// Nothing changes when the future is dropped.
    pub async fn drained(&self) {
        loop {
            self.custody.schedule().emptied().await;
            self.custody.settled().await;
            if self.custody.schedule().is_idle() {
                return;
            }
        }
    }

    /// How many deliveries wait for workers, or are handled by them. Those that they do not know of yet are not in it:
    /// [`counts`](Self::counts) asks the archive.
    pub fn waiting(&self) -> usize {
        self.custody.schedule().len()
    }

    /// Workers handle nothing of this model any more, until it is [resumed](Self::resume). What they are at comes to
    /// its end, deliveries are accepted, and those that a sender waits for are handled.
    pub fn pause(&self, model: &ModelName) {
        self.custody.schedule().set_paused(model, true);
    }

    /// Workers go on with this model.
    pub fn resume(&self, model: &ModelName) {
        self.custody.schedule().set_paused(model, false);
    }

    /// Whether the model is [paused](Self::pause).
    pub fn is_paused(&self, model: &ModelName) -> bool {
        self.custody.schedule().is_paused(model)
    }

    /// How many deliveries the archive holds, by model and outcome, and since when the oldest is not settled. Removed
    /// ones are not counted.
    ///
    /// # Errors
    ///
    /// If the archive cannot be read.
    pub async fn counts(&self) -> Result<Counts, ArchiveError> {
        let mut counts = Counts::default();
        let mut lines = self.archive().ledger(Query::all());
        while let Some(line) = lines.next().await {
            counts.add(line?);
        }
        Ok(counts)
    }

    /// Has all that `query` selects of the dead, the undecodable and the failed handled again, from its first attempt
    /// on, and says how many that are. They are pending from now on, also across a restart. Without
    /// [workers](Self::work) they stay so until there are some.
    ///
    /// ```
    /// # async fn of(inbox: &tower_inbox::Inbox) -> Result<(), tower_inbox::archive::ArchiveError> {
    /// use tower_inbox::archive::Query;
    /// use tower_inbox::delivery::OutcomeKind;
    ///
    /// let dead = inbox.retry(Query::all().outcome(OutcomeKind::Dead)).await?;
    /// println!("{dead} deliveries are handled again");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If the archive cannot be read or written. Some may be pending by then.
    pub async fn retry(&self, query: Query) -> Result<usize, ArchiveError> {
        let retried = retry(self.archive(), query).await?;
        let count = retried.len();
        for Line { id, model, .. } in retried {
            self.custody.schedule().push(Job::new(id, model), Duration::ZERO);
        }
        Ok(count)
    }
}

/// How long deliveries that are given back may take to become durable.
const LAST_WORDS: Duration = Duration::from_secs(2);
