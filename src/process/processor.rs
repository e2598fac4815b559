use std::{
    collections::HashSet,
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Response, request};
use http_body::Body;
use tokio::{
    runtime::Handle,
    sync::{Notify, futures::Notified},
    task::JoinHandle,
    time::{Instant, timeout_at},
};
use tokio_util::task::TaskTracker;

use super::{
    Attempt, BoxError, Clock, Rejection, RequestContext, ResponseBody, RetryPolicy, Trigger,
    decode::{self, Undecodable, decode},
    held_leases::{HeldLeases, RENEWAL},
    in_flight::InFlight,
    response_body::as_the_first,
    run::{Ended, Interruption, run},
    shutdown::Shutdown,
    waiters::{WaitKey, Waiters},
};
use crate::{
    archive::{Acquire, Archive, ArchiveError, Begun, LEASE_LENGTH, Lease, Release},
    delivery::{Delivery, DeliveryId, InferenceDigest, InferenceId, Outcome},
    metrics,
    supervise::supervise,
};

/// An archive, and the deliveries of it that this process is processing.
///
/// Create one for each archive and process. Clones share everything.
#[derive(Clone)]
pub struct Processor(Arc<Inner>);

struct Inner {
    archive: Box<dyn Archive>,
    config: ProcessConfig,
    tasks: TaskTracker,
    leases: HeldLeases,
    waiters: Waiters,
    /// Something may be due for workers.
    due: Notify,
    /// Processing of some delivery has ended.
    ended: Notify,
    has_workers: AtomicBool,
    shutdown: Shutdown,
}

/// How deliveries are processed.
#[derive(Clone, Debug)]
pub(crate) struct ProcessConfig {
    pub(crate) retries: RetryPolicy,
    /// The time after which a request is answered whose delivery is still being processed.
    pub(crate) answer_within: Duration,
    /// The time for which a request waits until its delivery is durable.
    pub(crate) archive_timeout: Duration,
    /// The time after which a handler is stopped, if workers can retry.
    pub(crate) handler_timeout: Duration,
    pub(crate) clock: Clock,
}

/// Below the shortest response timeout that a provider publishes, which is 10 s.
const ANSWER_WITHIN: Duration = Duration::from_secs(8);

/// Longer than a disk takes that recovers by itself, and shorter than the time that a shutdown has.
const ARCHIVE_TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) const HANDLER_TIMEOUT: Duration = Duration::from_mins(5);

impl Default for ProcessConfig {
    fn default() -> Self {
        Self {
            retries: RetryPolicy::default(),
            answer_within: ANSWER_WITHIN,
            archive_timeout: ARCHIVE_TIMEOUT,
            handler_timeout: HANDLER_TIMEOUT,
            clock: Clock::default(),
        }
    }
}

/// A delivery to process.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) delivery: Delivery,
    pub(crate) context: RequestContext,
    /// None in a replay of a settled delivery, which changes nothing.
    pub(crate) in_flight: Option<InFlight>,
    pub(crate) trigger: Trigger,
}

/// The result of processing a delivery.
#[derive(Debug)]
pub(crate) enum Processed<E> {
    /// The handler ran, and returned this response; or it panicked or timed out, and this is the rejection.
    Ran(Result<Response<ResponseBody>, E>),
    /// The handler did not run: the response says why.
    NotRun(Response<ResponseBody>),
    /// Another delivery of the same inference is being processed. The delivery is pending again.
    Requeued,
}

impl Processor {
    /// Processes deliveries of `archive`, which may be an `Arc` that is used elsewhere, too.
    pub fn new(archive: impl Archive) -> Self {
        Self::with_config(Box::new(archive), ProcessConfig::default())
    }

    pub(crate) fn with_config(archive: Box<dyn Archive>, config: ProcessConfig) -> Self {
        Self(Arc::new(Inner {
            archive,
            config,
            tasks: TaskTracker::new(),
            leases: HeldLeases::default(),
            waiters: Waiters::default(),
            due: Notify::new(),
            ended: Notify::new(),
            has_workers: AtomicBool::new(false),
            shutdown: Shutdown::default(),
        }))
    }

    /// The archive.
    pub fn archive(&self) -> &dyn Archive {
        &*self.0.archive
    }

    /// The number of deliveries that are being archived, processed or settled.
    pub fn in_progress(&self) -> usize {
        self.0.tasks.len()
    }

    /// Waits until every delivery that was started is answered, archived and settled. New ones may arrive meanwhile: stop
    /// the server first.
    ///
    /// # Cancel safety
    ///
    /// Nothing changes when the future is dropped.
    pub async fn wait_idle(&self) {
        // A closed tracker accepts new tasks all the same; closing only allows to wait.
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    /// Runs work that goes on when the client hangs up.
    pub(crate) fn spawn<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.0.tasks.spawn(work)
    }

    pub(crate) fn config(&self) -> &ProcessConfig {
        &self.0.config
    }

    pub(crate) fn shutdown(&self) -> &Shutdown {
        &self.0.shutdown
    }

    pub(super) fn waiters(&self) -> &Waiters {
        &self.0.waiters
    }

    /// Whether workers take up what is due.
    pub(crate) fn has_workers(&self) -> bool {
        self.0.has_workers.load(Ordering::Relaxed)
    }

    /// From now on there are workers. False if there were before.
    pub(crate) fn add_workers(&self) -> bool {
        !self.0.has_workers.swap(true, Ordering::Relaxed)
    }

    /// Something may be due.
    pub(crate) fn wake_workers(&self) {
        self.0.due.notify_one();
        self.0.ended.notify_waiters();
    }

    /// Waits until processing of some delivery has ended.
    ///
    /// # Cancel safety
    ///
    /// Nothing changes when the future is dropped.
    pub(crate) fn ended(&self) -> Notified<'_> {
        self.0.ended.notified()
    }

    /// Waits until something may be due. For one caller.
    ///
    /// # Cancel safety
    ///
    /// No notification is lost when the future is dropped.
    pub(crate) async fn due(&self) {
        self.0.due.notified().await;
    }

    /// Takes over a lease: whatever happens to the result, the lease is settled or released.
    pub(crate) fn in_flight(&self, lease: Lease, context: &RequestContext) -> InFlight {
        InFlight::new(self.clone(), lease, context.name.clone(), context.received_at)
    }

    pub(super) fn hold(&self, lease: Lease) {
        self.0.leases.hold(lease, || {
            // The task must not keep the archive open.
            let inner = Arc::downgrade(&self.0);
            let runtime = Handle::try_current().ok()?;
            Some(runtime.spawn(async move {
                supervise("lease renewal", || renew(inner.clone())).await;
            }))
        });
    }

    pub(super) fn let_go(&self, lease: Lease) {
        self.0.leases.let_go(lease.token());
    }

    /// Makes every delivery pending again that this process still holds, whatever its handler is doing. The attempts do
    /// not count. For the end of a shutdown: a handler that blocks its thread cannot be stopped.
    ///
    /// # Cancel safety
    ///
    /// All releases have started; the archive completes them.
    pub(crate) async fn release_held(&self) {
        let release = |lease| self.archive().release(lease, Release::After(Duration::ZERO));
        let releasing: Vec<_> = self.0.leases.held().into_iter().map(release).collect();
        for released in releasing {
            // An error means that the delivery was settled meanwhile, or that the archive fails, which was logged.
            drop(released.await);
        }
    }

    /// Processes one delivery: decodes it, enters the single flight of its inference, runs the handler, and settles.
    ///
    /// `call` runs the handler with the request head, whose extensions have what the handler needs.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the handler is stopped, and the delivery is pending again without counting the attempt.
    pub(crate) async fn process<C, F, R, E>(
        &self,
        job: Job,
        mut head: request::Parts,
        call: C,
    ) -> Processed<E>
    where
        C: FnOnce(request::Parts) -> F,
        F: Future<Output = Result<Response<R>, E>>,
        R: Body<Data = Bytes> + Send + 'static,
        R::Error: Into<BoxError>,
    {
        let Job { delivery, context, mut in_flight, trigger } = job;
        let lease = in_flight.as_ref().and_then(InFlight::lease);
        let attempt = Attempt::new(trigger, lease);
        context.span.record("attempt", attempt.number());
        let inference = match decode(&context, &delivery, &mut head.extensions) {
            Ok(inference) => inference,
            Err(error) => return Processed::NotRun(reject_undecodable(&context, error, in_flight)),
        };
        decode::detect_drift(&context, &delivery);
        let mut earlier = None;
        if let Some(mut entering) = in_flight.take() {
            match self.enter_flight(&mut entering, inference, trigger).await {
                Ok(found) => earlier = found,
                Err(blocked) => return blocked.settle(&context, entering),
            }
            in_flight = Some(entering);
        }
        head.extensions.insert(attempt.with_earlier_version(earlier));
        head.extensions.insert(delivery);
        head.extensions.insert(context.captures.clone());
        let started = std::time::Instant::now();
        let interrupted = self.interrupted(lease);
        let timeout = self.handler_timeout(trigger);
        let (ended, response) =
            run(|| call(head), timeout, interrupted, &context, &self.config().clock).await;
        context.record_duration("run_us", started);
        match (in_flight, ended) {
            (Some(in_flight), Ended::With(result)) => in_flight.finish(result),
            (Some(in_flight), Ended::By(Interruption::LeaseLost)) => in_flight.abandon(),
            (Some(in_flight), Ended::By(Interruption::Shutdown)) => {
                in_flight.release(Release::After(Duration::ZERO));
            }
            (None, _) => {}
        }
        Processed::Ran(response)
    }

    /// Enters the single flight of an inference. Returns the delivery in which the same version was processed before, in
    /// other bytes.
    async fn enter_flight(
        &self,
        in_flight: &mut InFlight,
        inference: InferenceDigest,
        trigger: Trigger,
    ) -> Result<Option<DeliveryId>, Blocked> {
        let Some(lease) = in_flight.lease() else { return Err(Blocked::LeaseLost) };
        in_flight.set_inference(inference);
        match self.begin(lease, inference, trigger).await {
            Ok(Begun::Started { earlier }) => Ok(earlier),
            Ok(Begun::Processed { of, status }) => Err(Blocked::Repeat { of, status }),
            Ok(Begun::Busy) => Err(Blocked::Busy { inference: inference.id(), trigger }),
            Err(ArchiveError::LeaseLost { .. }) => Err(Blocked::LeaseLost),
            Err(error) => Err(Blocked::State(error)),
        }
    }

    /// Waits until a handler must not go on, because its lease is lost or the process is shutting down.
    async fn interrupted(&self, lease: Option<Lease>) -> Interruption {
        let lost = async {
            match lease {
                Some(lease) => self.0.leases.lost(lease.token()).await,
                None => std::future::pending().await,
            }
        };
        let lost = self.shutdown().until_handlers_stop(lost).await;
        lost.map_or(Interruption::Shutdown, |()| Interruption::LeaseLost)
    }

    /// A handler is stopped where somebody retries it, or nobody waits for it.
    fn handler_timeout(&self, trigger: Trigger) -> Option<Duration> {
        let is_limited = trigger != Trigger::Request || self.has_workers();
        is_limited.then_some(self.config().handler_timeout)
    }

    /// Enters the single flight of an inference. A request waits for its turn; [`Begun::Busy`] means that too many do. A
    /// worker does something else meanwhile.
    async fn begin(
        &self,
        lease: Lease,
        inference: InferenceDigest,
        trigger: Trigger,
    ) -> Result<Begun, ArchiveError> {
        match self.archive().begin(lease, inference).await? {
            Begun::Busy if trigger != Trigger::Worker => {}
            begun => return Ok(begun),
        }
        let Some(waiter) = self.waiters().enter(WaitKey::Inference(inference.id())) else {
            return Ok(Begun::Busy);
        };
        loop {
            let seen = waiter.notifications();
            match self.archive().begin(lease, inference).await? {
                Begun::Busy => waiter.more_than(seen).await,
                begun => return Ok(begun),
            }
        }
    }

    /// Decodes a delivery that is pending before its sender is answered, and settles it if it is undecodable.
    pub(crate) async fn decode_first(
        &self,
        context: &RequestContext,
        delivery: &Delivery,
    ) -> Result<(), Response<ResponseBody>> {
        let Err(undecodable) = decode(context, delivery, &mut http::Extensions::new()) else {
            return Ok(());
        };
        let acquired = self.archive().acquire(Acquire::new(delivery.id())).await;
        let lease = match acquired {
            Ok(acquired) => acquired.lease,
            Err(error) => return Err(context.reject(Rejection::State(error.into()))),
        };
        // Without a lease, a worker has it, and settles it alike.
        let in_flight = lease.map(|lease| self.in_flight(lease, context));
        Err(reject_undecodable(context, undecodable, in_flight))
    }
}

/// Why a delivery is not passed to its handler after it was decoded.
#[derive(Debug)]
enum Blocked {
    /// The same inference was processed in another delivery.
    Repeat {
        of: DeliveryId,
        status: u16,
    },
    /// Another delivery of the inference is being processed.
    Busy {
        inference: InferenceId,
        trigger: Trigger,
    },
    LeaseLost,
    State(ArchiveError),
}

impl Blocked {
    /// Settles or releases the delivery, and responds.
    fn settle<E>(self, context: &RequestContext, in_flight: InFlight) -> Processed<E> {
        match self {
            Self::Repeat { of, status } => {
                metrics::repeated(&context.name);
                in_flight.settle(Outcome::repeat(of));
                Processed::NotRun(as_the_first(of, status))
            }
            Self::Busy { inference, trigger } => {
                in_flight.release(Release::WhenFree(inference));
                match trigger {
                    Trigger::Request => {
                        Processed::NotRun(context.reject(Rejection::TooManyWaiting))
                    }
                    Trigger::Worker | Trigger::Replay => Processed::Requeued,
                }
            }
            Self::LeaseLost => {
                in_flight.abandon();
                Processed::NotRun(context.reject(Rejection::LeaseLost))
            }
            // Dropping the delivery releases its lease.
            Self::State(error) => Processed::NotRun(context.reject(Rejection::State(error.into()))),
        }
    }
}

fn reject_undecodable(
    context: &RequestContext,
    undecodable: Undecodable,
    in_flight: Option<InFlight>,
) -> Response<ResponseBody> {
    metrics::undecodable(&context.name);
    let Undecodable { path, reason } = undecodable;
    if let Some(in_flight) = in_flight {
        in_flight.settle(Outcome::undecodable(&reason));
    }
    let status = context.model.status_profile().undecodable;
    context.reject(Rejection::Undecodable { path, reason, status })
}

/// Renews the leases of this process until there are none.
async fn renew(inner: Weak<Inner>) {
    let mut next = Instant::now() + RENEWAL;
    loop {
        tokio::time::sleep_until(next).await;
        let Some(inner) = inner.upgrade() else { return };
        let Some(leases) = inner.leases.to_renew() else { return };
        let sent = Instant::now();
        next = sent + RENEWAL;
        // An archive that hangs must not keep handlers running under leases that have ended.
        match timeout_at(next, inner.archive.renew(leases, LEASE_LENGTH)).await {
            Ok(Ok(lost)) => {
                let lost: HashSet<DeliveryId> = lost.into_iter().collect();
                inner.leases.renewed(sent, |lease| lost.contains(&lease.id()));
            }
            Ok(Err(error)) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "leases could not be renewed");
                inner.leases.not_renewed(Instant::now());
            }
            Err(_) => {
                tracing::error!(timeout = ?RENEWAL, "leases were not renewed in time");
                inner.leases.not_renewed(Instant::now());
            }
        }
    }
}

impl fmt::Debug for Processor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Processor")
            .field("archive", &self.0.archive)
            .field("in_progress", &self.in_progress())
            .finish_non_exhaustive()
    }
}
