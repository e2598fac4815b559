use std::{
    fmt,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{runtime::Handle, time::Instant};
use tokio_util::task::TaskTracker;

use super::{
    BoxedHandler, HandlerService, Workers, WorkersError, backlog_metrics,
    scheduler::{Next, Scheduler},
};
use crate::{
    archive::{Claim, Claimed, Lease, Release, Work},
    delivery::ModelName,
    layer::{Models, step::Mode},
    process::{InFlight, Job, Processor, RequestContext, Shutdown, Trigger, last_writes},
    supervise::{catch_async, report, supervise},
};

/// The wait before the next attempt of a delivery that cannot be read, or has no model any more.
const NOT_PROCESSABLE: Duration = Duration::from_secs(60);

/// How long a probe for the route of a model may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);

/// The workers of an inbox. Clones share them.
#[derive(Clone)]
pub(crate) struct WorkerPool(Arc<Pool>);

struct Pool {
    processor: Processor,
    models: Models,
    config: Workers,
    has_metrics: bool,
    scheduler: Mutex<Scheduler>,
    tasks: TaskTracker,
    handler: Mutex<Option<BoxedHandler>>,
    state: Mutex<PoolState>,
}

/// Whether the task runs that claims deliveries and starts handlers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PoolState {
    NotStarted,
    Running,
    /// It panicked, and is started again after a pause.
    Restarting,
    Stopping,
    /// It was dropped with the runtime that it ran on.
    Ended,
}

impl PoolState {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NotStarted => "not_started",
            Self::Running => "running",
            Self::Restarting => "restarting",
            Self::Stopping => "stopping",
            Self::Ended => "ended",
        }
    }
}

/// Proof that workers run, for [`ArchiveLayer::background`](crate::layer::ArchiveLayer::background). Made by
/// [`Workers::start`].
#[derive(Clone, Debug)]
pub struct RunningWorkers(WorkerPool);

impl RunningWorkers {
    /// Stops claiming deliveries, waits for running handlers, and requeues the rest. Takes at most `timeout`: see
    /// [`Inbox::shutdown`](crate::Inbox::shutdown).
    ///
    /// # Cancel safety
    ///
    /// The workers claim nothing any more. Running handlers go on.
    pub async fn shutdown(&self, timeout: Duration) {
        self.0.shutdown(timeout, async {}).await;
    }

    /// Completes when [`shutdown`](Self::shutdown) is called. Pass it to the server around the layers: see
    /// [`Inbox::shutdown_started`](crate::Inbox::shutdown_started).
    pub fn shutdown_started(&self) -> impl Future<Output = ()> + Send + use<> {
        self.0.shutdown_state().started()
    }

    pub(crate) fn processor(&self) -> &Processor {
        &self.0.0.processor
    }

    pub(crate) fn mode(&self) -> Mode {
        Mode::Background { decode_first: self.0.0.config.decodes_first() }
    }
}

impl Workers {
    /// Starts the workers. `service` processes every delivery in the archive of `processor` that is not settled,
    /// including those that a previous process left unsettled. For [`Inbox`](crate::Inbox) use
    /// [`Inbox::start_workers`](crate::Inbox::start_workers).
    ///
    /// # Errors
    ///
    /// As [`Inbox::start_workers`](crate::Inbox::start_workers).
    ///
    /// ```
    /// use http::{Request, Response};
    /// use tower::service_fn;
    /// use tower_inbox::{MemoryArchive, Workers, layer::{ArchiveLayer, InboxBody, Models}};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), tower_inbox::WorkersError> {
    /// let workers = Workers::new(8);
    /// let processor = workers.processor(MemoryArchive::new());
    /// let handler = service_fn(async |_request: Request<InboxBody<String>>| {
    ///     Ok::<_, std::convert::Infallible>(Response::new(String::new()))
    /// });
    /// let running = workers.start(&processor, &Models::new(), handler)?;
    /// let archive_layer = ArchiveLayer::background(&running);
    /// # let _ = archive_layer;
    /// running.shutdown(std::time::Duration::from_secs(10)).await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn start<B>(
        self,
        processor: &Processor,
        models: &Models,
        service: impl HandlerService<B>,
    ) -> Result<RunningWorkers, WorkersError> {
        let pool = WorkerPool::new(processor.clone(), models.clone(), self);
        pool.start(BoxedHandler::new(service))?;
        Ok(RunningWorkers(pool))
    }
}

impl WorkerPool {
    pub(crate) fn new(processor: Processor, models: Models, config: Workers) -> Self {
        Self::with(processor, models, config, true)
    }

    /// Without the gauges of the backlog and of the archive: those are of the deliveries.
    pub(crate) fn without_metrics(processor: Processor, models: Models, config: Workers) -> Self {
        Self::with(processor, models, config, false)
    }

    fn with(processor: Processor, models: Models, config: Workers, has_metrics: bool) -> Self {
        Self(Arc::new(Pool {
            processor,
            models,
            config,
            has_metrics,
            scheduler: Mutex::new(Scheduler::new(config.limits)),
            tasks: TaskTracker::new(),
            handler: Mutex::new(None),
            state: Mutex::new(PoolState::NotStarted),
        }))
    }

    pub(crate) fn start(&self, handler: BoxedHandler) -> Result<(), WorkersError> {
        if Handle::try_current().is_err() {
            return Err(WorkersError::NoRuntime);
        }
        if self.0.processor.has_workers() {
            return Err(WorkersError::AlreadyStarted);
        }
        self.check_routes(&handler)?;
        if !self.0.processor.add_workers() {
            return Err(WorkersError::AlreadyStarted);
        }
        *self.0.handler.lock().unwrap_or_else(PoisonError::into_inner) = Some(handler.clone());
        let pool = Arc::clone(&self.0);
        // Not cancelled while a claim is on its way: its leases would be lost.
        self.spawn(async move {
            let _ended = SetOnDrop(&pool.state, PoolState::Ended);
            supervise("worker pool", || async {
                set(&pool.state, PoolState::Running);
                let _restarting = SetOnDrop(&pool.state, PoolState::Restarting);
                pool.drive(&handler).await;
            })
            .await;
        });
        if !self.0.has_metrics {
            return Ok(());
        }
        let pool = Arc::clone(&self.0);
        self.0.tasks.spawn(async move {
            let measuring =
                supervise("backlog metrics", || backlog_metrics::measure(&pool.processor));
            pool.shutdown().until_started(measuring).await.unwrap_or_default();
        });
        Ok(())
    }

    /// Checks that the service has a route for each model. A router responds at once; behind a layer that waits first,
    /// a task logs the missing route.
    fn check_routes(&self, handler: &BoxedHandler) -> Result<(), WorkersError> {
        for (model, path) in self.0.models.probe_paths() {
            let Some(mut probing) = path.parse().ok().and_then(|uri| handler.probe(uri)) else {
                continue;
            };
            match probing.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(true) => {}
                Poll::Ready(false) => return Err(WorkersError::NoRoute { model, path }),
                Poll::Pending => self.spawn(async move {
                    if let Ok(false) = tokio::time::timeout(PROBE_TIMEOUT, probing).await {
                        let error = WorkersError::NoRoute { model, path };
                        tracing::error!("{error}");
                    }
                }),
            }
        }
        Ok(())
    }

    pub(crate) fn state(&self) -> PoolState {
        if self.0.shutdown().has_started() {
            return PoolState::Stopping;
        }
        *self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The handler of the workers; None while there are none.
    pub(crate) fn handler(&self) -> Option<BoxedHandler> {
        self.0.handler.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Runs a task that ends with the pool.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let shutdown = self.0.shutdown().clone();
        self.0.tasks.spawn(async move {
            shutdown.until_handlers_stop(task).await.unwrap_or_default();
        });
    }

    pub(crate) fn shutdown_state(&self) -> &Shutdown {
        self.0.shutdown()
    }

    /// Shuts down within `timeout`, even if clients, handlers or the archive hang. `requests` completes when no request
    /// is being read.
    pub(crate) async fn shutdown(&self, timeout: Duration, requests: impl Future<Output = ()>) {
        let last_writes = last_writes(timeout);
        let began = Instant::now();
        self.0.shutdown().start();
        let ended = tokio::time::timeout(timeout.saturating_sub(last_writes), async {
            requests.await;
            self.finish().await;
        });
        if ended.await.is_ok() {
            return;
        }
        self.0.shutdown().stop_handlers();
        let in_progress = self.0.processor.in_progress() + self.0.tasks.len();
        tracing::warn!(
            after = ?began.elapsed(),
            in_progress,
            "shutdown does not wait any longer; handlers are stopped and their deliveries requeued"
        );
        if tokio::time::timeout(last_writes / 2, self.finish()).await.is_err() {
            let releasing = self.0.processor.release_held();
            drop(tokio::time::timeout(last_writes / 2, releasing).await);
        }
    }

    /// Waits until all tasks have ended and every outcome is recorded.
    async fn finish(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
        self.0.processor.wait_idle().await;
    }

    /// Waits until every delivery of a known model is settled, or the pool stops.
    pub(crate) async fn wait_idle(&self) {
        let idle = async {
            loop {
                let mut ended = pin!(self.0.processor.ended());
                ended.as_mut().enable();
                if self.0.is_idle().await {
                    return;
                }
                drop(tokio::time::timeout(self.0.config.poll_interval, ended).await);
            }
        };
        self.0.shutdown().until_started(idle).await.unwrap_or_default();
    }

    /// Wakes the workers, because a delivery may be due.
    pub(crate) fn wake(&self) {
        self.0.processor.wake_workers();
    }
}

impl Pool {
    fn shutdown(&self) -> &Shutdown {
        self.processor.shutdown()
    }

    fn scheduler(&self) -> MutexGuard<'_, Scheduler> {
        self.scheduler.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn is_idle(&self) -> bool {
        if self.processor.in_progress() > 0 || self.scheduler().running() > 0 {
            return false;
        }
        match self.processor.archive().counts().await {
            Ok(counts) => self.models.names().iter().all(|model| counts.unsettled(model) == 0),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "the deliveries of the archive could not be counted");
                false
            }
        }
    }

    /// Claims and processes due deliveries until the pool stops.
    async fn drive(self: &Arc<Self>, handler: &BoxedHandler) {
        let poll_interval = self.config.poll_interval;
        while !self.shutdown().has_started() {
            let models = self.models.names();
            let next = self.scheduler().next(&models, Instant::now());
            let wait = match next {
                Next::Wait(wait) => wait,
                Next::Claim(claim) => match self.claim(claim).await {
                    Ok(Claimed { leases, next_due, .. }) => {
                        let claimed = !leases.is_empty();
                        self.process(handler, leases);
                        if claimed {
                            continue;
                        }
                        Some(next_due.map_or(poll_interval, |due| due.min(poll_interval)))
                    }
                    Err(error) => {
                        let error = &error as &dyn std::error::Error;
                        tracing::error!(error, "due deliveries could not be claimed");
                        Some(poll_interval)
                    }
                },
            };
            let due = self.shutdown().until_started(self.processor.due());
            match wait {
                Some(wait) => drop(tokio::time::timeout(wait, due).await),
                None => drop(due.await),
            }
        }
    }

    fn claim(&self, claim: Claim) -> Work<Claimed> {
        let length = self.processor.config().lease_length;
        self.processor.archive().claim(claim.leased_for(length))
    }

    fn process(self: &Arc<Self>, handler: &BoxedHandler, leases: Vec<(ModelName, Lease)>) {
        for (model, lease) in leases {
            if self.shutdown().has_started() {
                let in_flight = InFlight::claimed(self.processor.clone(), lease, model);
                in_flight.release(Release::After(Duration::ZERO));
                continue;
            }
            let slot = Slot::take(Arc::clone(self), model, lease.crashes() > 0);
            let (pool, handler) = (Arc::clone(self), handler.clone());
            let task = async move {
                // The service may panic before it returns a future.
                if let Err(panic) = catch_async(pool.process_one(handler, lease, &slot)).await {
                    report("worker", &panic);
                }
            };
            let shutdown = self.shutdown().clone();
            self.tasks.spawn(async move {
                shutdown.until_handlers_stop(task).await.unwrap_or_default();
            });
        }
    }

    async fn process_one(&self, handler: BoxedHandler, lease: Lease, slot: &Slot) {
        let id = lease.id();
        let in_flight = InFlight::claimed(self.processor.clone(), lease, slot.model.clone());
        let delivery = match self.processor.archive().get(id).await {
            Ok(Some(archived)) => archived.delivery,
            Ok(None) => {
                tracing::info!(%id, "the delivery was removed before it was processed");
                return in_flight.release(Release::After(Duration::ZERO));
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(%id, error, "a delivery that is due cannot be read");
                return in_flight.release(Release::After(NOT_PROCESSABLE));
            }
        };
        let Some((model, captures)) = self.models.of_delivery(&delivery) else {
            tracing::warn!(%id, model = %slot.model, "there is no such model any more; the delivery stays pending");
            return in_flight.release(Release::After(NOT_PROCESSABLE));
        };
        let context = RequestContext::archived(&delivery, model, captures);
        let in_flight = Some(in_flight.received_at(delivery.received_at()));
        let job = Job { delivery, context, in_flight, trigger: Trigger::Worker };
        handler.run(self.processor.clone(), job).await;
    }
}

fn set(state: &Mutex<PoolState>, to: PoolState) {
    *state.lock().unwrap_or_else(PoisonError::into_inner) = to;
}

struct SetOnDrop<'p>(&'p Mutex<PoolState>, PoolState);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        set(self.0, self.1);
    }
}

/// A place in the pool, until dropped.
struct Slot {
    pool: Arc<Pool>,
    model: ModelName,
    suspect: bool,
}

impl Slot {
    fn take(pool: Arc<Pool>, model: ModelName, suspect: bool) -> Self {
        pool.scheduler().start(&model, suspect, Instant::now());
        Self { pool, model, suspect }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.pool.scheduler().end(&self.model, self.suspect);
        self.pool.processor.wake_workers();
    }
}

impl fmt::Debug for WorkerPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerPool")
            .field("running", &self.0.scheduler().running())
            .finish_non_exhaustive()
    }
}
