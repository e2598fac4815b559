//! Expected results: what is due, what is overdue, and how it is fetched.

use std::{
    collections::HashMap,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::Inbox;
use crate::{
    archive::{Archive, ArchiveError, Query},
    delivery::{Delivery, ModelName, StateKind},
    process::{Expectation, Expected, ExpectedResults, RetryPolicy},
    provider::Recover,
};

const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

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
    pub(super) results: ExpectedResults,
    pub(super) recoveries: HashMap<ModelName, Arc<dyn Recover>>,
    pub(super) on_overdue: Option<OnOverdue>,
    give_up_after: Duration,
    pub(super) workers: usize,
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

    pub(super) fn retries(&self) -> RetryPolicy {
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
    pub model: ModelName,
    /// The id that the provider gave to the request.
    pub id: String,
    /// When the result was due.
    pub due_at: SystemTime,
    /// What the last attempt to fetch it found.
    pub reason: String,
}

impl OverdueResult {
    pub(super) fn of(expectation: &Expectation, reason: &str) -> Option<Self> {
        Some(Self {
            model: expectation.model.parse().ok()?,
            id: expectation.id.clone(),
            due_at: expectation.due_at()?,
            reason: reason.to_owned(),
        })
    }
}

fn read(delivery: &Delivery) -> Option<Expectation> {
    serde_json::from_slice(delivery.body()).ok()
}

/// Results that are due. They need [`InboxBuilder::expectations`](super::InboxBuilder::expectations).
impl Inbox {
    /// Records that the provider will post a result to `path`, within this time. Durable on return. `id` is what the
    /// provider returned for the request, such as the id of Mindee's job. A delivery at `path` with that id settles it,
    /// whether it arrives before or after this call. If the result was expected before, the time starts again.
    ///
    /// Call it after the request was accepted. Expected results are checked while
    /// [workers](Self::start_workers) run, in this process or another one that shares the archive of the expectations.
    ///
    /// # Errors
    ///
    /// [`ExpectError`]: no model receives at `path`, the inbox has no expectations, or their archive is not available.
    /// In the last case it may be recorded or not.
    pub async fn expect(
        &self,
        path: &str,
        id: &str,
        within: Duration,
    ) -> Result<Expected, ExpectError> {
        let checks = self.checks.as_ref().ok_or(ExpectError::NoExpectations)?;
        let model = self.models.name_at(path);
        let model = model.ok_or_else(|| ExpectError::NoModel { path: path.to_owned() })?;
        let results = &checks.expectations().results;
        if !results.includes(&model) {
            return Err(ExpectError::NotIncluded { model });
        }
        checks.add(&model);
        let expected = results.expect(&model, path, id, self.clock.now(), within).await?;
        checks.wake();
        Ok(expected)
    }

    /// Returns results that are overdue, at most 1000, those expected first first. None without expectations.
    ///
    /// # Errors
    ///
    /// If the archive of the expectations is not available.
    pub async fn overdue(&self) -> Result<Vec<OverdueResult>, ArchiveError> {
        const MOST: usize = 1000;
        match &self.checks {
            Some(checks) => checks.expectations().overdue(self.clock.now(), MOST).await,
            None => Ok(Vec::new()),
        }
    }

    /// Checks now whether the results that `query` selects can be fetched, also those that are not due yet. Returns how
    /// many. For the time after an outage, in which results may have been lost:
    /// `Query::all().before(end_of_the_outage)`.
    ///
    /// # Errors
    ///
    /// If the archive of the expectations is not available.
    pub async fn check_expected(&self, query: Query) -> Result<u64, ArchiveError> {
        match &self.checks {
            Some(checks) => checks.check_now(query).await,
            None => Ok(0),
        }
    }
}

/// Why [`Inbox::expect`] did not record that a result is due.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExpectError {
    /// No model receives at this path.
    #[error("no model receives at {path}; pass the path to which the result will be posted")]
    #[non_exhaustive]
    NoModel {
        /// The path.
        path: String,
    },
    /// The expectations do not include this model.
    #[error("the expectations do not include the model {model}; add it to Expectations::only")]
    #[non_exhaustive]
    NotIncluded {
        /// The model.
        model: ModelName,
    },
    /// The inbox was built without expectations.
    #[error("the inbox has no expectations; call InboxBuilder::expectations")]
    NoExpectations,
    /// The archive of the expectations is not available.
    #[error("the expected result could not be recorded")]
    Archive(#[from] ArchiveError),
}
