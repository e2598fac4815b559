use std::{
    task::{Context, Poll},
    time::Duration,
};

use tower_layer::Layer;
use tower_service::Service;

use super::{Health, InboxBuilder, overdue::Checks};
use crate::{
    archive::{Archive, ArchiveError, Counts, Query},
    delivery::ModelName,
    layer::{
        ArchiveLayer, ArchiveService, Budget, BufferLayer, BufferService, DispatchLayer,
        DispatchService, Models, PeerAddress, ProcessLayer, ProcessService, Quarantine, RouteLayer,
        RouteService, VerifyLayer, VerifyService, step::Mode,
    },
    process::{Clock, Processor},
    worker::{BoxedHandler, HandlerService, WorkerPool, WorkersError},
};

/// Receives deliveries. Its layer goes around the service that has the handlers.
///
/// Cheap to clone; clones share everything.
///
/// ```
/// use tower::{Layer, service_fn};
/// use http::{Request, Response};
/// use tower_inbox::{Inbox, MemoryArchive, Secret, layer::InboxBody, provider::foxyai};
///
/// let inbox = Inbox::builder(MemoryArchive::new())
///     .model(
///         "/hooks/property/{reference}",
///         foxyai::image_group().token_in_query("ticket", Secret::new("correct horse")),
///     )
///     .build()?;
///
/// let service = inbox.layer().layer(service_fn(async |_request: Request<InboxBody<String>>| {
///     Ok::<_, std::convert::Infallible>(Response::new(String::new()))
/// }));
/// # let _ = service;
/// # Ok::<(), tower_inbox::BuildError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Inbox {
    pub(crate) models: Models,
    pub(super) budget: Budget,
    pub(crate) processor: Processor,
    pub(super) mode: Mode,
    pub(crate) pool: WorkerPool,
    pub(super) quarantine: Option<Quarantine>,
    pub(crate) clock: Clock,
    pub(super) peer_address: PeerAddress,
    pub(super) checks: Option<Checks>,
}

impl Inbox {
    /// Starts to configure an inbox. Everything but the archive is optional.
    pub fn builder(archive: impl Archive) -> InboxBuilder {
        InboxBuilder::new(Box::new(archive))
    }

    /// The layer. Every service it makes shares the archive, the models and the limits.
    pub fn layer(&self) -> InboxLayer {
        let buffer = BufferLayer::new(self.budget.clone());
        let verify = VerifyLayer::new();
        let (buffer, verify) = match &self.quarantine {
            Some(kept) if kept.reads_all() => {
                (buffer.reading_all(), verify.quarantine(kept.clone()))
            }
            Some(kept) => (buffer, verify.quarantine(kept.clone())),
            None => (buffer, verify),
        };
        InboxLayer {
            route: RouteLayer::new(self.models.clone())
                .clock(self.clock.clone())
                .peers(self.peer_address.clone()),
            buffer,
            verify,
            archive: ArchiveLayer::with_mode(self.processor.clone(), self.mode),
        }
    }

    /// The models, to add, replace and remove some while the server runs.
    pub fn models(&self) -> &Models {
        &self.models
    }

    /// The archive.
    pub fn archive(&self) -> &dyn Archive {
        self.processor.archive()
    }

    /// The number of bytes in flight, as [`Budget`] counts them.
    pub fn bytes_in_flight(&self) -> usize {
        self.budget.used()
    }

    /// Waits until every delivery that was started is archived, processed and settled, however long that takes. At the
    /// end of a server use [`shutdown`](Self::shutdown), also without workers.
    ///
    /// # Cancel safety
    ///
    /// Nothing changes when the future is dropped.
    pub async fn settled(&self) {
        self.processor.wait_idle().await;
        if let Some(quarantine) = &self.quarantine {
            quarantine.settled().await;
        }
    }

    /// Starts the workers. `service` processes every delivery that is not settled, including those that a previous
    /// process left unsettled.
    ///
    /// `service` is what the layer goes around: with axum, the router before `.layer(inbox.layer())`. A router accepts
    /// any body, so there its type has to be named: `inbox.start_workers::<axum::body::Body>(routes.clone())`. The
    /// handler gets the same extensions as while a sender waits. The head is the one from the archive, without secrets,
    /// and [`Attempt`](crate::layer::Attempt) says that it runs in the background.
    ///
    /// An axum router is probed for a route of each model: with a request of the method `INBOX-PROBE`, to which a
    /// router responds 405 without running a handler. Extractors of this crate reject it. Handlers for every method
    /// (`any`, `route_service`) that use none of these extractors see the request, with an empty body, no delivery, and
    /// a [`RouteProbe`](crate::RouteProbe) in its extensions.
    ///
    /// # Errors
    ///
    /// [`WorkersError::AlreadyStarted`] the second time; [`WorkersError::NoRuntime`] outside a tokio runtime;
    /// [`WorkersError::NoRoute`] if the router responds 404 to the path of a model.
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
    /// inbox.start_workers(handler)?;
    /// inbox.shutdown(std::time::Duration::from_secs(10)).await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_workers<B>(&self, service: impl HandlerService<B>) -> Result<(), WorkersError> {
        self.pool.start(BoxedHandler::new(service))?;
        match &self.checks {
            Some(checks) => checks.start(&self.processor, &self.models),
            None => Ok(()),
        }
    }

    /// Shuts down gracefully. Ends within `timeout`, even if clients, handlers or the archive hang:
    ///
    /// 1. [`shutdown_started`](Self::shutdown_started) completes, so that the server accepts no more connections.
    ///    Workers claim nothing any more.
    /// 2. Requests whose body is being read, running handlers and outcomes that could not be recorded yet have
    ///    `timeout`, less a tenth of it (at most 2 s), to end. It returns as soon as they have.
    /// 3. Handlers that are still running are stopped, and their deliveries become pending again, so that the next
    ///    start finds them. A deploy never counts as a failed attempt. Senders that wait are answered 503.
    ///
    /// It does not wait for connections without a delivery: idle ones, and those that have sent half of a request head.
    /// Give the server one or two seconds after it to write the last responses.
    ///
    /// A handler that blocks its thread cannot be stopped: its delivery becomes pending all the same, but the tokio
    /// runtime waits for the thread. See `docs/http.md`.
    ///
    /// # Cancel safety
    ///
    /// Workers claim nothing any more. Running handlers go on.
    pub async fn shutdown(&self, timeout: Duration) {
        self.pool.shutdown(timeout, self.requests_ended(timeout / 2)).await;
    }

    /// Completes when [`shutdown`](Self::shutdown) is called. Pass it to the server around the inbox, for example to
    /// axum's `with_graceful_shutdown`:
    ///
    /// ```
    /// # use std::time::Duration;
    /// # async fn serve(
    /// #     inbox: tower_inbox::Inbox,
    /// #     listener: tokio::net::TcpListener,
    /// #     app: axum::Router,
    /// # ) {
    /// let server = axum::serve(listener, app).with_graceful_shutdown(inbox.shutdown_started());
    /// let server = tokio::spawn(server.into_future());
    /// // Wait for SIGTERM here.
    /// inbox.shutdown(Duration::from_secs(20)).await;
    /// drop(tokio::time::timeout(Duration::from_secs(2), server).await);
    /// # }
    /// ```
    pub fn shutdown_started(&self) -> impl Future<Output = ()> + Send + use<> {
        self.pool.shutdown_state().started()
    }

    /// Waits until no request is being read, what goes to the quarantine is there, and nothing is being fetched: at most
    /// as long as `fetches` for that.
    async fn requests_ended(&self, fetches: Duration) {
        if let Some(checks) = &self.checks {
            checks.shutdown(fetches).await;
        }
        self.budget.emptied().await;
        if let Some(quarantine) = &self.quarantine {
            quarantine.settled().await;
        }
    }

    /// Waits until every delivery of the inbox's models is settled, including failed ones that are retried, or until
    /// [`shutdown`](Self::shutdown).
    ///
    /// # Cancel safety
    ///
    /// Nothing changes when the future is dropped.
    pub async fn wait_idle(&self) {
        self.pool.wait_idle().await;
    }

    /// Stops workers from claiming deliveries of this model until it is [resumed](Self::resume), on every node that
    /// shares the archive. Running handlers continue. New deliveries are accepted, and inline ones are processed.
    ///
    /// A disk archive forgets it when it is closed; a PostgreSQL archive stores it.
    ///
    /// # Errors
    ///
    /// If the archive is not available.
    pub async fn pause(&self, model: &ModelName) -> Result<(), ArchiveError> {
        self.archive().set_paused(model.clone(), true).await
    }

    /// Lets workers claim deliveries of this model again. Workers of other nodes notice within a second.
    ///
    /// # Errors
    ///
    /// If the archive is not available.
    pub async fn resume(&self, model: &ModelName) -> Result<(), ArchiveError> {
        self.archive().set_paused(model.clone(), false).await?;
        self.pool.wake();
        Ok(())
    }

    /// Returns true if the model is [paused](Self::pause).
    ///
    /// # Errors
    ///
    /// If the archive is not available.
    pub async fn is_paused(&self, model: &ModelName) -> Result<bool, ArchiveError> {
        Ok(self.archive().paused().await?.contains(model))
    }

    /// How many deliveries the archive holds, by model and state. Removed ones do not count. Cheap: the cost does not
    /// depend on how many are settled.
    ///
    /// # Errors
    ///
    /// If the archive is not available.
    pub async fn counts(&self) -> Result<Counts, ArchiveError> {
        self.archive().counts().await
    }

    /// The health of the inbox: services for liveness and readiness probes, and a report. Keeps the archive open.
    pub fn health(&self) -> Health {
        Health::new(self.processor.clone(), self.pool.clone(), self.mode)
    }

    /// Makes dead, undecodable and failed deliveries that `query` selects pending, from their first attempt on. Returns
    /// how many. Durable on return; without workers they stay pending until there are some.
    ///
    /// ```
    /// # async fn of(inbox: &tower_inbox::Inbox) -> Result<(), tower_inbox::archive::ArchiveError> {
    /// use tower_inbox::{archive::Query, delivery::StateKind};
    ///
    /// let dead = inbox.retry(Query::all().state(StateKind::Dead)).await?;
    /// println!("{dead} deliveries are retried");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If the archive is not available. Some may be pending then.
    pub async fn retry(&self, query: Query) -> Result<u64, ArchiveError> {
        let retried = self.archive().retry(query).await;
        self.processor.wake_workers();
        retried
    }
}

/// All steps of an inbox as one layer. Made by [`Inbox::layer`](super::Inbox::layer).
#[derive(Clone, Debug)]
pub struct InboxLayer {
    pub(super) route: RouteLayer,
    pub(super) buffer: BufferLayer,
    pub(super) verify: VerifyLayer,
    pub(super) archive: ArchiveLayer,
}

/// All steps of an inbox around the service `S`. Made by [`InboxLayer`].
#[derive(Clone, Debug)]
pub struct InboxService<S> {
    steps: Steps<S>,
}

type Steps<S> =
    RouteService<BufferService<VerifyService<ArchiveService<DispatchService<ProcessService<S>>>>>>;

impl<S> Layer<S> for InboxLayer {
    type Service = InboxService<S>;

    fn layer(&self, inner: S) -> InboxService<S> {
        let dispatch = DispatchLayer::new().layer(ProcessLayer::new().layer(inner));
        let verify = self.verify.layer(self.archive.layer(dispatch));
        InboxService { steps: self.route.layer(self.buffer.layer(verify)) }
    }
}

impl<S, Request> Service<Request> for InboxService<S>
where
    Steps<S>: Service<Request>,
{
    type Response = <Steps<S> as Service<Request>>::Response;
    type Error = <Steps<S> as Service<Request>>::Error;
    type Future = <Steps<S> as Service<Request>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.steps.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        self.steps.call(request)
    }
}
