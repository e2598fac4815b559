//! Expected results: what is due, what is overdue, and how it is fetched.

use std::{
    collections::HashMap,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use tower_service::Service;

use crate::{
    archive::{Append, Archive, ArchiveError, Query, Release},
    delivery::{Delivery, DeliveryId, ModelName, StateKind},
    layer::{InboxBody, Models},
    log_limit::LogLimit,
    metrics,
    process::{
        Clock, Expectation, Expected, ExpectedResults, Failure, Processor, RetryPolicy,
        expected_name, expected_path, json_head,
    },
    provider::{Inference, InferenceKey, Model, Recover, Recovered},
    signature::Proof,
    worker::{BoxedHandler, WorkerPool, Workers, WorkersError},
};

/// The status of an expectation whose result was fetched.
const FETCHED: StatusCode = StatusCode::CREATED;

const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// How often overdue results are counted for the metrics.
const COUNT_INTERVAL: Duration = Duration::from_secs(30);

/// How many overdue results are counted at most.
const MOST_COUNTED: usize = 10_000;

static OVERDUE_LOG: LogLimit = LogLimit::new(20, Duration::from_secs(60));

type OnOverdue = Arc<dyn Fn(&OverdueResult) + Send + Sync>;

/// Results that were requested from a provider, and have to arrive.
///
/// A webhook that never comes is otherwise lost without a trace. [`Inbox::expect`](crate::Inbox::expect) records that a
/// result is due; the arrival of a delivery with its id settles that. A result that is overdue is logged, counted,
/// listed by [`Inbox::overdue`](crate::Inbox::overdue), and given to [`on_overdue`](Self::on_overdue). With a
/// [recovery](Self::recover) it is fetched from the API of the provider: archived, and then processed like a delivery.
/// [`Delivery::provenance`] says that it was fetched. If the webhook comes all the same, it is a repeat.
///
/// Expectations are stored in an archive of their own, as deliveries: `inbox list --archive` shows them.
///
/// | state | the result |
/// |---|---|
/// | pending, leased | is due later, or is being fetched |
/// | failed | did not arrive in time, and will be fetched again; after a restart also what is due later |
/// | processed 200 | has arrived |
/// | processed 201 | was fetched |
/// | dead | was given up: there is none, or it could not be fetched in time |
///
/// A result that does not arrive is fetched after an exponential backoff from 10 s to 10 min. A process that starts
/// checks all expectations of a disk archive at once, because results may have been lost while it was down. With a
/// `PostgresArchive` use [`Inbox::check_expected`](crate::Inbox::check_expected) after an outage.
///
/// ```
/// use std::time::Duration;
/// use http_body_util::Full;
/// use hyper_util::{client::legacy::Client, rt::TokioExecutor};
/// use tower_inbox::{Expectations, Inbox, MemoryArchive, Secret, provider::mindee};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::builder(TokioExecutor::new()).build_http::<Full<bytes::Bytes>>();
/// let expectations = Expectations::new(MemoryArchive::new())
///     .recover("/hooks/ocr".parse()?, mindee::Recovery::new(client, Secret::new("md_correct_horse")))
///     .on_overdue(|overdue| println!("{} is overdue: {}", overdue.id, overdue.reason));
/// let inbox = Inbox::builder(MemoryArchive::new())
///     .model("/hooks/ocr", mindee::ocr().signed_with(Secret::new("correct horse")))
///     .expectations(expectations)
///     .build()?;
///
/// // After the job was enqueued:
/// inbox.expect("/hooks/ocr", "12345678-1234-1234-1234-123456789abc", Duration::from_secs(600)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Expectations {
    results: ExpectedResults,
    recoveries: HashMap<ModelName, Arc<dyn Recover>>,
    on_overdue: Option<OnOverdue>,
    give_up_after: Duration,
    workers: usize,
}

impl Expectations {
    /// Stores expectations in this archive, which should hold nothing else.
    pub fn new(archive: impl Archive) -> Self {
        Self {
            results: ExpectedResults::new(Arc::new(archive)),
            recoveries: HashMap::new(),
            on_overdue: None,
            give_up_after: GIVE_UP_AFTER,
            workers: 4,
        }
    }

    /// Fetches overdue results of this model. [Workers](crate::Inbox::start_workers) of the inbox process them. Default:
    /// overdue results are only reported.
    pub fn recover(mut self, model: ModelName, recover: impl Recover) -> Self {
        self.recoveries.insert(model, Arc::new(recover));
        self
    }

    /// Expects results of these models only. Default: all models of the inbox. The archive of the expectations stores an
    /// entry for each result that arrives, whether it is expected later or not.
    pub fn only(mut self, models: impl IntoIterator<Item = ModelName>) -> Self {
        self.results.set_models(models);
        self
    }

    /// Calls `report` for each result that is overdue, at each attempt to fetch it that does not succeed, and when it is
    /// given up. It must not block.
    pub fn on_overdue(mut self, report: impl Fn(&OverdueResult) + Send + Sync + 'static) -> Self {
        self.on_overdue = Some(Arc::new(report));
        self
    }

    /// Sets the time from [`expect`](Self::expect) on after which a result is given up. Set it to the time after which
    /// the provider deletes results. Default: 24 h.
    pub fn give_up_after(mut self, time: Duration) -> Self {
        self.give_up_after = time;
        self
    }

    /// Sets how many results are fetched at a time. Default: 4.
    pub fn concurrency(mut self, fetches: usize) -> Self {
        self.workers = fetches;
        self
    }

    /// Records that a result is due, as [`Inbox::expect`](crate::Inbox::expect) does, from a process without an inbox: it
    /// needs an archive that processes share. `path` is where the result will be posted.
    ///
    /// # Errors
    ///
    /// If the archive is not available. Then it may be recorded or not.
    pub async fn expect(
        &self,
        model: &ModelName,
        path: &str,
        id: &str,
        within: Duration,
    ) -> Result<Expected, ArchiveError> {
        self.results.expect(model, path, id, SystemTime::now(), within).await
    }

    /// The archive of the expectations.
    pub fn archive(&self) -> &dyn Archive {
        &**self.results.archive()
    }

    /// Returns the results that are overdue, at most `most`.
    pub(super) async fn overdue(
        &self,
        now: SystemTime,
        most: usize,
    ) -> Result<Vec<OverdueResult>, ArchiveError> {
        let mut overdue = Vec::new();
        let mut failed = self.archive().scan(Query::all().state(StateKind::Failed));
        while let Some(archived) = failed.next().await {
            let archived = archived?;
            let Some(expectation) = read(&archived.delivery) else { continue };
            let reason = archived.state.outcome().and_then(|outcome| outcome.reason());
            let found = OverdueResult::of(&expectation, reason.unwrap_or_default());
            overdue.extend(found.filter(|found| found.due_at <= now));
            if overdue.len() >= most {
                break;
            }
        }
        Ok(overdue)
    }

    pub(super) fn results(&self) -> &ExpectedResults {
        &self.results
    }

    fn retries(&self) -> RetryPolicy {
        RetryPolicy::default()
            .max_attempts(u32::MAX)
            .initial_backoff(Duration::from_secs(10))
            .max_backoff(Duration::from_secs(10 * 60))
            .max_age(self.give_up_after)
    }
}

impl fmt::Debug for Expectations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expectations")
            .field("results", &self.results)
            .field("recovered", &self.recoveries.keys())
            .field("give_up_after", &self.give_up_after)
            .field("workers", &self.workers)
            .finish_non_exhaustive()
    }
}

/// A result that did not arrive in time.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OverdueResult {
    /// The name of the model.
    pub model: String,
    /// The id that the provider gave to the request.
    pub id: String,
    /// When the result was due.
    pub due_at: SystemTime,
    /// What the last attempt to fetch it found.
    pub reason: String,
}

impl OverdueResult {
    fn of(expectation: &Expectation, reason: &str) -> Option<Self> {
        let due_at = expectation.due_at()?;
        let (model, id) = (expectation.model.clone(), expectation.id.clone());
        Some(Self { model, id, due_at, reason: reason.to_owned() })
    }
}

fn read(delivery: &Delivery) -> Option<Expectation> {
    serde_json::from_slice(delivery.body()).ok()
}

/// The expectations of an inbox, with the workers that check what is overdue.
#[derive(Clone, Debug)]
pub(super) struct Checks {
    expectations: Expectations,
    processor: Processor,
    models: Models,
    pool: WorkerPool,
}

impl Checks {
    pub(super) fn new(expectations: Expectations, clock: Clock) -> Self {
        let workers = Workers::new(expectations.workers).retries(expectations.retries());
        let config = crate::process::ProcessConfig { clock, ..workers.process_config() };
        let archive = Box::new(Arc::clone(expectations.results.archive()));
        let processor = Processor::with_config(archive, config);
        let models = Models::new();
        let pool = WorkerPool::without_metrics(processor.clone(), models.clone(), workers);
        Self { expectations, processor, models, pool }
    }

    pub(super) fn expectations(&self) -> &Expectations {
        &self.expectations
    }

    pub(super) fn wake(&self) {
        self.processor.wake_workers();
    }

    /// Adds the expectations of a model to those that are checked.
    pub(super) fn add(&self, model: &ModelName) {
        let expectation = Model::json::<Expectation>("expected", |expectation| {
            InferenceKey::new(&expectation.id)
        });
        let path = expected_path(model);
        // An error means that it was added before.
        let expectation = expectation.unsigned().named(expected_name(model));
        drop(self.models.add_uncounted(&path, expectation));
    }

    /// Starts to check what is overdue. What is fetched goes into the archive of `inbox`.
    pub(super) fn start(&self, inbox: &Processor, models: &Models) -> Result<(), WorkersError> {
        models.names().iter().for_each(|model| self.add(model));
        let checker = Checker {
            expectations: self.expectations.clone(),
            inbox: inbox.clone(),
            models: models.clone(),
        };
        self.pool.start(BoxedHandler::new(checker))?;
        if metrics::ENABLED {
            let (expectations, clock) = (self.expectations.clone(), inbox.config().clock.clone());
            self.pool.spawn(async move { count(&expectations, &clock).await });
        }
        Ok(())
    }

    pub(super) async fn shutdown(&self, timeout: Duration) {
        self.pool.shutdown(timeout, async {}).await;
    }

    /// Makes unsettled expectations due now. Returns how many.
    pub(super) async fn check_now(&self, query: Query) -> Result<u64, ArchiveError> {
        let archive = self.expectations.archive();
        let mut waiting = archive.ledger(query.unsettled());
        let mut checked = 0;
        while let Some(entry) = waiting.next().await {
            let acquired = archive.acquire(self.processor.acquire(entry?.id)).await?;
            if let Some(lease) = acquired.lease {
                archive.release(lease, Release::After(Duration::ZERO)).await?;
                checked += 1;
            }
        }
        self.wake();
        Ok(checked)
    }
}

/// Counts what is overdue for the metrics.
async fn count(expectations: &Expectations, clock: &Clock) {
    loop {
        let overdue = expectations.overdue(clock.now(), MOST_COUNTED).await;
        let overdue = overdue.ok().map(|overdue| u32::try_from(overdue.len()).unwrap_or(u32::MAX));
        metrics::overdue_results(overdue);
        tokio::time::sleep(COUNT_INTERVAL).await;
    }
}

/// The handler of expectations that are due.
#[derive(Clone)]
struct Checker {
    expectations: Expectations,
    inbox: Processor,
    models: Models,
}

/// The result of checking an expectation.
enum Check {
    Fetched,
    NotYet { reason: String },
    Gone { reason: String },
}

impl Checker {
    async fn check(&self, expectation: &Expectation) -> Check {
        let not_yet = |reason: &str| Check::NotYet { reason: reason.to_owned() };
        let Ok(model) = expectation.model.parse::<ModelName>() else {
            return Check::Gone { reason: "the name of the model is invalid".into() };
        };
        let Some(recover) = self.expectations.recoveries.get(&model) else {
            return not_yet("it has not arrived, and the model has no recovery");
        };
        match recover.recover(&expectation.id).await {
            Ok(Recovered::Result(body)) => match self.archive(model, expectation, body).await {
                Ok(id) => {
                    tracing::info!(%id, model = expectation.model, "an overdue result was fetched");
                    Check::Fetched
                }
                Err(error) => {
                    Check::NotYet { reason: format!("it was fetched, and not archived: {error}") }
                }
            },
            Ok(Recovered::NotReady) => not_yet("the provider has no result yet"),
            Ok(Recovered::Gone(reason)) => Check::Gone { reason },
            Err(error) => Check::NotYet { reason: with_causes(&error) },
        }
    }

    /// Archives a result like a delivery before anything decodes it.
    async fn archive(
        &self,
        model: ModelName,
        expectation: &Expectation,
        body: Bytes,
    ) -> Result<DeliveryId, ArchiveError> {
        let parts = json_head(&expectation.path);
        let found = self.models.named(&model, &expectation.path);
        let redaction = found.map(|(model, _)| model.redaction().clone()).unwrap_or_default();
        let now = self.inbox.config().clock.now();
        let id = DeliveryId::new();
        let delivery =
            Delivery::received(id, model, &parts, body, now, Proof::polled(), &redaction);
        let appended = self.inbox.archive().append(Append::new(delivery)).await?;
        self.inbox.wake_workers();
        Ok(appended.receipt.id())
    }

    async fn run(self, inference: Option<Inference<Expectation>>) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::default());
        let Some(expectation) = inference else {
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            return response;
        };
        let (reason, is_final) = match self.check(&expectation).await {
            Check::Fetched => {
                metrics::result_fetched(&expectation.model);
                *response.status_mut() = FETCHED;
                return response;
            }
            Check::NotYet { reason } => (reason, false),
            Check::Gone { reason } => (reason, true),
        };
        let now = self.inbox.config().clock.now();
        let early = expectation.due_at().and_then(|due_at| due_at.duration_since(now).ok());
        if early.is_none() || is_final {
            self.report(&expectation, &reason);
        }
        *response.status_mut() =
            if is_final { StatusCode::GONE } else { StatusCode::SERVICE_UNAVAILABLE };
        if let Some(early) = early.filter(|_| !is_final) {
            let seconds = HeaderValue::from(early.as_secs().saturating_add(1));
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response.extensions_mut().insert(Failure::new(reason));
        response
    }

    fn report(&self, expectation: &Expectation, reason: &str) {
        if let Some(suppressed) = OVERDUE_LOG.admit() {
            let Expectation { model, id, .. } = expectation;
            tracing::warn!(model, id, reason, suppressed, "a result is overdue");
        }
        let overdue = OverdueResult::of(expectation, reason);
        if let (Some(report), Some(overdue)) = (&self.expectations.on_overdue, &overdue) {
            report(overdue);
        }
    }
}

/// The message of an error and of its causes.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

impl Service<Request<InboxBody<Bytes>>> for Checker {
    type Response = Response<Full<Bytes>>;
    type Error = std::convert::Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<InboxBody<Bytes>>) -> Self::Future {
        let (checker, expectation) = (self.clone(), request.extensions().get().cloned());
        Box::pin(async move { Ok(checker.run(expectation).await) })
    }
}
