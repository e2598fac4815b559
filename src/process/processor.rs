use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Extensions, Response, request};
use http_body::Body;
use tokio::{
    sync::{Notify, futures::Notified},
    task::JoinHandle,
    time::Instant,
};
use tokio_util::task::TaskTracker;

use super::{
    Attempt, BoxError, Clock, ExpectedResults, Rejection, RequestContext, ResponseBody,
    RetryPolicy, Trigger,
    in_flight::InFlight,
    leases::{self, HeldLeases, Renewals},
    repeat::Waiters,
    run::{Interruption, RunEnd, Undecodable, decode, detect_drift, run},
    shutdown::Shutdown,
};
use crate::{
    archive::{Acquire, Archive, LEASE_LENGTH, Lease, Release},
    delivery::{Delivery, DeliveryId, Outcome},
    latency::Latencies,
    metrics,
};

/// Processes the deliveries of an archive, for layers that are stacked by hand.
///
/// Create one for each archive and process. Clones share everything.
///
/// ```
/// use tower_inbox::{MemoryArchive, layer::Processor};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let processor = Processor::new(MemoryArchive::new());
/// assert_eq!(processor.in_progress(), 0);
/// processor.wait_idle().await;
/// # }
/// ```
#[derive(Clone)]
pub struct Processor(Arc<Inner>);

struct Inner {
    archive: Box<dyn Archive>,
    config: ProcessConfig,
    tasks: TaskTracker,
    leases: HeldLeases,
    waiters: Waiters,
    /// Notified when a delivery may be due.
    due: Notify,
    /// Notified when processing of a delivery has ended.
    ended: Notify,
    has_workers: AtomicBool,
    shutdown: Shutdown,
    latencies: Latencies,
}

/// How deliveries are processed.
#[derive(Clone, Debug)]
pub(crate) struct ProcessConfig {
    pub(crate) retries: RetryPolicy,
    /// The time after which a request is answered whose delivery is still being processed.
    pub(crate) answer_within: Duration,
    /// The time for which a request waits until its delivery is durable.
    pub(crate) archive_timeout: Option<Duration>,
    /// The time after which a handler is stopped, if workers can retry.
    pub(crate) handler_timeout: Duration,
    /// The length of a lease.
    pub(crate) lease_length: Duration,
    pub(crate) clock: Clock,
    /// The results that are due, which arrivals settle.
    pub(crate) expected: Option<ExpectedResults>,
}

/// Below the shortest response timeout that a provider publishes, which is 10 s.
const ANSWER_WITHIN: Duration = Duration::from_secs(8);

/// Longer than a disk takes that recovers by itself, and shorter than the time that a shutdown has.
const ARCHIVE_TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) const HANDLER_TIMEOUT: Duration = Duration::from_secs(5 * 60);

impl Default for ProcessConfig {
    fn default() -> Self {
        Self {
            retries: RetryPolicy::default(),
            answer_within: ANSWER_WITHIN,
            archive_timeout: Some(ARCHIVE_TIMEOUT),
            handler_timeout: HANDLER_TIMEOUT,
            lease_length: LEASE_LENGTH,
            clock: Clock::default(),
            expected: None,
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
            leases: HeldLeases::new(config.lease_length),
            config,
            tasks: TaskTracker::new(),
            waiters: Waiters::default(),
            due: Notify::new(),
            ended: Notify::new(),
            has_workers: AtomicBool::new(false),
            shutdown: Shutdown::default(),
            latencies: Latencies::default(),
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

    /// Waits until every delivery that was started is answered, archived and settled. New ones may arrive meanwhile:
    /// stop the server first.
    ///
    /// # Cancel safety
    ///
    /// Nothing changes when the future is dropped.
    pub async fn wait_idle(&self) {
        // A closed tracker accepts new tasks all the same; closing only allows to wait.
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    /// Spawns work that continues when the client hangs up.
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

    /// The wait and the handling time of each model.
    pub(crate) fn latencies(&self) -> &Latencies {
        &self.0.latencies
    }

    pub(super) fn waiters(&self) -> &Waiters {
        &self.0.waiters
    }

    /// Returns true if workers process due deliveries.
    pub(crate) fn has_workers(&self) -> bool {
        self.0.has_workers.load(Ordering::Relaxed)
    }

    /// Registers the workers. False if there are some already.
    pub(crate) fn add_workers(&self) -> bool {
        !self.0.has_workers.swap(true, Ordering::Relaxed)
    }

    /// Wakes the workers, because a delivery may be due.
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

    /// Waits until a delivery may be due. For one caller.
    ///
    /// # Cancel safety
    ///
    /// No notification is lost when the future is dropped.
    pub(crate) async fn due(&self) {
        self.0.due.notified().await;
    }

    /// Takes over a lease. It is released when the result is dropped without being settled.
    pub(crate) fn in_flight(&self, lease: Lease, context: &RequestContext) -> InFlight {
        InFlight::new(self.clone(), lease, context.name.clone(), context.received_at)
    }

    pub(super) fn add_lease(&self, lease: Lease) {
        self.0.leases.add(lease, || {
            // The task must not keep the archive open.
            let inner = Arc::downgrade(&self.0);
            leases::spawn_renewal(move || inner.upgrade().map(Self))
        });
    }

    pub(super) fn leases(&self) -> &HeldLeases {
        &self.0.leases
    }

    /// The renewals of the leases that this process holds; None if there are none.
    pub(crate) fn renewals(&self) -> Option<Renewals> {
        self.0.leases.renewals(Instant::now())
    }

    /// A request to lease a delivery, for the configured length.
    pub(crate) fn acquire(&self, id: DeliveryId) -> Acquire {
        Acquire::new(id).leased_for(self.config().lease_length)
    }

    pub(super) fn remove_lease(&self, lease: Lease) {
        self.0.leases.remove(lease.token());
    }

    /// Releases all leases of this process, although their handlers may still run. The attempts do not count. For the
    /// end of a shutdown: a handler that blocks its thread cannot be stopped.
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
    /// If the future is dropped, the handler is stopped, and the delivery is pending again without counting the
    /// attempt.
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
        let attempt = Attempt::of(trigger, lease);
        context.span.record("attempt", attempt.number());
        let inference = match decode(&context, &delivery, &mut head.extensions) {
            Ok(inference) => inference,
            Err(error) => return Processed::NotRun(reject_undecodable(&context, error, in_flight)),
        };
        if in_flight.is_some() {
            self.settle_expectation(&context, &delivery, &head.extensions);
        }
        detect_drift(&context, &delivery);
        let mut earlier = None;
        if let Some(mut entering) = in_flight.take() {
            match self.enter_flight(&mut entering, &delivery, inference, trigger).await {
                Ok(found) => earlier = found,
                Err(blocked) => return blocked.settle(&context, entering),
            }
            in_flight = Some(entering);
        }
        head.extensions.insert(attempt.with_earlier_version(earlier));
        head.extensions.insert(delivery);
        head.extensions.insert(context.captures.clone());
        let wait = (attempt.number() == 1).then(|| self.config().clock.age(context.received_at));
        let started = Instant::now();
        let interrupted = self.interrupted(lease);
        let timeout = self.handler_timeout(trigger);
        let (ended, response) =
            run(|| call(head), timeout, interrupted, &context, &self.config().clock).await;
        context.record_duration("run_us", started.into_std());
        match (in_flight, ended) {
            (Some(in_flight), RunEnd::With(result)) => {
                self.latencies().record(&context.name, wait, started.elapsed());
                in_flight.finish(result);
            }
            (Some(in_flight), RunEnd::By(Interruption::LeaseLost)) => in_flight.abandon(),
            (Some(in_flight), RunEnd::By(Interruption::Shutdown)) => {
                in_flight.release(Release::After(Duration::ZERO));
            }
            (None, _) => {}
        }
        Processed::Ran(response)
    }

    /// Records that an expected result has arrived, without letting its handler wait.
    fn settle_expectation(
        &self,
        context: &RequestContext,
        delivery: &Delivery,
        decoded: &Extensions,
    ) {
        if let Some(expected) = &self.config().expected
            && expected.includes(&context.name)
            && let Some(id) = context.model.requested_id(decoded)
        {
            let (expected, delivery) = (expected.clone(), delivery.clone());
            let now = self.config().clock.now();
            drop(self.spawn(async move {
                let path = delivery.head().uri().path();
                expected.arrived(delivery.model(), path, &id, now).await;
            }));
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

    /// The handler timeout applies where the delivery can be retried, or where no sender waits for the response.
    fn handler_timeout(&self, trigger: Trigger) -> Option<Duration> {
        let is_limited = trigger != Trigger::Request || self.has_workers();
        is_limited.then_some(self.config().handler_timeout)
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
        let acquired = self.archive().acquire(self.acquire(delivery.id())).await;
        let lease = match acquired {
            Ok(acquired) => acquired.lease,
            Err(error) => return Err(context.reject(Rejection::State(error.into()))),
        };
        // Without a lease, a worker has it, and settles it alike.
        let in_flight = lease.map(|lease| self.in_flight(lease, context));
        Err(reject_undecodable(context, undecodable, in_flight))
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

impl fmt::Debug for Processor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Processor")
            .field("archive", &self.0.archive)
            .field("in_progress", &self.in_progress())
            .finish_non_exhaustive()
    }
}
