use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout_at},
};
use tower_service::Service;

use super::{
    HealthReport,
    report::{Backlog, Facts},
};
use crate::{
    layer::{ResponseBody, step::Mode},
    process::Processor,
    worker::WorkerPool,
};

/// The maximum time for a report. Kubernetes gives a probe 1 s by default.
const TIMEOUT: Duration = Duration::from_millis(500);

/// How long a report is cached.
const FRESH: Duration = Duration::from_secs(1);

/// The default of [`Health::oldest_unsettled`].
const OLDEST_UNSETTLED: Duration = Duration::from_secs(60 * 60);

/// The health of an inbox, as services for probes and as a [report](Self::report). Made by
/// [`Inbox::health`](crate::Inbox::health).
///
/// | service | 503 means | use it for |
/// |---|---|---|
/// | [`live`](Self::live) | nothing but a restart of the process helps | the liveness probe of Kubernetes |
/// | [`ready`](Self::ready) | deliveries are rejected | the readiness probe, or the health check of a load balancer |
///
/// [`HealthReason`](super::HealthReason) lists the reasons for either. The response body is JSON, with a `status` of
/// `ok`, `degraded` or `unavailable`:
///
/// ```json
/// {"status":"degraded","reasons":["oldest_unsettled"],"archive":{"writes":"working","has_space":true,"damaged":0,
/// "missing":null,"maintenance":{"finished_seconds_ago":12,"failed":false}},"workers":"running","unsettled":3,
/// "oldest_unsettled_seconds":4210}
/// ```
///
/// Unknown values are `null`. The body has no paths, model names, secrets or error messages, but the size of the
/// backlog: serve it on a port or path that strangers cannot reach. A report takes at most 500 ms and is cached for 1
/// s, so that frequent requests are cheap. Other methods than GET and HEAD are answered 405.
///
/// ```
/// use http::{Request, StatusCode};
/// use tower::ServiceExt;
/// use tower_inbox::{Inbox, MemoryArchive};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let inbox = Inbox::builder(MemoryArchive::new()).build()?;
/// let health = inbox.health();
/// assert!(health.report().await.is_ready());
/// let response = health.ready().oneshot(Request::get("/ready").body(())?).await?;
/// assert_eq!(response.status(), StatusCode::OK);
/// # Ok(())
/// # }
/// ```
///
/// With axum, beside the routes of the inbox:
///
/// ```
/// use axum::Router;
/// use tower_inbox::{Inbox, MemoryArchive};
///
/// # fn main() -> Result<(), tower_inbox::BuildError> {
/// let inbox = Inbox::builder(MemoryArchive::new()).build()?;
/// let health = inbox.health();
/// let app: Router = Router::new()
///     .route_service("/health/live", health.live())
///     .route_service("/health/ready", health.ready());
/// # let _ = app;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Health {
    processor: Processor,
    pool: WorkerPool,
    needs_workers: bool,
    oldest_unsettled: Option<Duration>,
    /// The last report. Its lock makes one report at a time, for all who wait for it.
    last: Arc<Mutex<Option<(Instant, HealthReport)>>>,
}

impl Health {
    pub(in crate::inbox) fn new(processor: Processor, pool: WorkerPool, mode: Mode) -> Self {
        Self {
            processor,
            pool,
            needs_workers: matches!(mode, Mode::Background { .. }),
            oldest_unsettled: Some(OLDEST_UNSETTLED),
            last: Arc::default(),
        }
    }

    /// Sets the age above which the oldest unsettled delivery is reported; `None` never reports it. Default: 1 hour.
    ///
    /// It makes the inbox degraded, neither not live nor not ready: deliveries are received all the same, and a failed
    /// one may be retried for days. For an alert use the metric `inbox_oldest_unsettled_age_seconds`.
    pub fn oldest_unsettled(mut self, age: impl Into<Option<Duration>>) -> Self {
        self.oldest_unsettled = age.into();
        self.last = Arc::default();
        self
    }

    /// The service for liveness probes: 503 if only a restart of the process helps, otherwise 200.
    pub fn live(&self) -> HealthService {
        HealthService { health: self.clone(), probe: Probe::Live }
    }

    /// The service for readiness probes: 503 while deliveries are rejected, otherwise 200.
    pub fn ready(&self) -> HealthService {
        HealthService { health: self.clone(), probe: Probe::Ready }
    }

    /// The condition of the inbox, at most 1 s ago. Takes at most 500 ms: values that are missing by then are reported
    /// as unknown.
    ///
    /// # Cancel safety
    ///
    /// Nothing changes when the future is dropped.
    pub async fn report(&self) -> HealthReport {
        let mut last = self.last.lock().await;
        if let Some((at, report)) = &*last
            && at.elapsed() < FRESH
        {
            return report.clone();
        }
        let report = HealthReport::new(self.facts().await, self.oldest_unsettled);
        *last = Some((Instant::now(), report.clone()));
        report
    }

    async fn facts(&self) -> Facts {
        let archive = self.processor.archive();
        let end = Instant::now() + TIMEOUT;
        let health = timeout_at(end, archive.health()).await;
        let counts = timeout_at(end, archive.counts()).await;
        let backlog = counts.ok().and_then(Result::ok).map(|counts| Backlog {
            unsettled: counts.models().map(|model| counts.unsettled(model)).sum(),
            oldest: counts.oldest_unsettled().map(|at| self.processor.config().clock.age(at)),
        });
        Facts {
            archive: health.ok().and_then(Result::ok),
            backlog,
            workers: self.pool.state(),
            renewals: self.processor.renewals(),
            needs_workers: self.needs_workers,
        }
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health")
            .field("oldest_unsettled", &self.oldest_unsettled)
            .finish_non_exhaustive()
    }
}

/// Answers one kind of probe. Made by [`Health::live`] and [`Health::ready`].
#[derive(Clone, Debug)]
pub struct HealthService {
    health: Health,
    probe: Probe,
}

#[derive(Clone, Copy, Debug)]
enum Probe {
    Live,
    Ready,
}

impl<B> Service<Request<B>> for HealthService {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (service, method) = (self.clone(), request.method().clone());
        Box::pin(async move { Ok(service.respond(&method).await) })
    }
}

impl HealthService {
    async fn respond(&self, method: &Method) -> Response<ResponseBody> {
        if method != Method::GET && method != Method::HEAD {
            return method_not_allowed();
        }
        let report = self.health.report().await;
        let succeeds = match self.probe {
            Probe::Live => report.is_live(),
            Probe::Ready => report.is_ready(),
        };
        let json = report.json(succeeds, SystemTime::now());
        let length = json.len();
        let mut response = match *method {
            Method::HEAD => Response::new(ResponseBody::default()),
            _ => Response::new(ResponseBody::full(json)),
        };
        if !succeeds {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

fn method_not_allowed() -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::default());
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}
