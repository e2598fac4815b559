//! Checks expectations that are due: fetches their results, and reports those that do not arrive.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use tower_service::Service;

use super::{Expectations, OverdueResult};
use crate::{
    archive::{Append, ArchiveError, Query, Release},
    delivery::{Delivery, DeliveryId, ModelName, with_causes},
    layer::{InboxBody, Models},
    log_limit::LogLimit,
    metrics,
    process::{
        Clock, Expectation, Failure, ProcessConfig, Processor, expected_name, expected_path,
        json_head,
    },
    provider::{Inference, InferenceKey, Model, Recovered},
    signature::Proof,
    worker::{BoxedHandler, WorkerPool, Workers, WorkersError},
};

/// The status of an expectation whose result was fetched.
const FETCHED: StatusCode = StatusCode::CREATED;

/// How often overdue results are counted for the metrics.
const COUNT_INTERVAL: Duration = Duration::from_secs(30);

/// How many overdue results are counted at most.
const MOST_COUNTED: usize = 10_000;

static OVERDUE_LOG: LogLimit = LogLimit::new(20, Duration::from_secs(60));

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
        let config = ProcessConfig { clock, ..workers.process_config() };
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
