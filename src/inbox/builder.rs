use std::{net::IpAddr, time::Duration};

use http::request::Parts;

use super::{Expectations, Inbox, overdue::Checks};
use crate::{
    archive::Archive,
    layer::{
        Budget, DEFAULT_BYTES_IN_FLIGHT, ModelError, Models, PeerAddress, Quarantine, step::Mode,
    },
    metrics,
    process::{Clock, ProcessConfig, Processor},
    provider::Model,
    worker::{WorkerPool, Workers},
};

/// Configures an [`Inbox`].
#[derive(Debug)]
#[must_use = "call build() to get the inbox"]
pub struct InboxBuilder {
    archive: Box<dyn Archive>,
    models: Vec<(String, Model)>,
    prefixes: Vec<String>,
    bytes_in_flight: usize,
    background: bool,
    workers: Workers,
    answer_within: Duration,
    archive_timeout: Option<Duration>,
    quarantine: Option<Quarantine>,
    clock: Clock,
    peer_address: PeerAddress,
    expectations: Option<Expectations>,
}

impl InboxBuilder {
    pub(super) fn new(archive: Box<dyn Archive>) -> Self {
        Self {
            archive,
            models: Vec::new(),
            prefixes: Vec::new(),
            bytes_in_flight: DEFAULT_BYTES_IN_FLIGHT,
            background: false,
            workers: Workers::default(),
            answer_within: ProcessConfig::default().answer_within,
            archive_timeout: ProcessConfig::default().archive_timeout,
            quarantine: None,
            clock: Clock::default(),
            peer_address: PeerAddress::default(),
            expectations: None,
        }
    }

    /// Receives the deliveries of `model` at `path`, which may have captures: `/hooks/property/{reference}`.
    pub fn model(mut self, path: impl Into<String>, model: Model) -> Self {
        self.models.push((path.into(), model));
        self
    }

    /// Reserves a path prefix: requests below it that are not for a model are answered 404. Default: such requests pass
    /// through to the inner service.
    pub fn reserve_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefixes.push(prefix.into());
        self
    }

    /// Sets the maximum number of bytes in flight, from their arrival until they are processed. Requests over the limit
    /// are rejected immediately with 503. At most three quarters of it are for requests whose signature was not checked
    /// yet, and of these each model has a share: see [`Budget`]. Default: 256 MiB.
    pub fn bytes_in_flight(mut self, bytes: usize) -> Self {
        self.bytes_in_flight = bytes;
        self
    }

    /// Background mode: senders are answered 202, or what the provider's profile says, as soon as their delivery is
    /// archived, and `workers` process it. For handlers that take longer than a sender waits, or that need something
    /// which may be down for hours. [`Inbox::start_workers`] starts the workers.
    pub fn background(mut self, workers: Workers) -> Self {
        self.background = true;
        self.workers = workers;
        self
    }

    /// Inline mode, the default: deliveries are processed while their sender waits. `workers` process failed
    /// deliveries, deliveries that a crash left unsettled, and those of [`Inbox::retry`]. [`Inbox::start_workers`]
    /// starts them. Default: 4 workers.
    pub fn workers(mut self, workers: Workers) -> Self {
        self.background = false;
        self.workers = workers;
        self
    }

    /// Sets the time after which a sender is answered 202, or what the provider's profile says, while its handler goes
    /// on. Only while there are [workers](Inbox::start_workers), which retry if it fails. Default: 8 s, less than any
    /// response timeout that a provider publishes.
    pub fn answer_within(mut self, time: Duration) -> Self {
        self.answer_within = time;
        self
    }

    /// Sets how long a request waits until its delivery is durable in the archive. If a disk, or a database, does not
    /// answer in that time, the sender is answered 503 with `Retry-After`. The delivery may still become durable: then
    /// it is pending, and a repeat of it is recognised. `None` waits without a limit. Default: 20 s.
    ///
    /// Set `None` in tests that pause tokio's time and archive on a disk: paused time does not wait for the disk.
    pub fn archive_timeout(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.archive_timeout = time.into();
        self
    }

    /// Keeps deliveries that could not be verified, within the limits of `quarantine`, until [`Inbox::release`]
    /// verifies them again. Default: they are discarded.
    pub fn quarantine(mut self, quarantine: Quarantine) -> Self {
        self.quarantine = Some(quarantine);
        self
    }

    /// Records which results are due, and fetches those that do not arrive: see [`Expectations`]. Default:
    /// [`Inbox::expect`] is an error.
    pub fn expectations(mut self, expectations: Expectations) -> Self {
        self.expectations = Some(expectations);
        self
    }

    /// Sets the clock for times of receipt, signatures, ages and retries. Default: the system clock.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Sets how the address of the client is found in the head of a request. It is in the log line of a rejected
    /// request, and used for nothing else. Default: it is not known.
    ///
    /// The server around the inbox has to put it into the request extensions. With axum:
    ///
    /// ```
    /// use std::net::SocketAddr;
    /// use axum::{Router, extract::ConnectInfo};
    /// use tower_inbox::{Inbox, MemoryArchive};
    ///
    /// let inbox = Inbox::builder(MemoryArchive::new())
    ///     .peer_address(|head| {
    ///         let peer: &ConnectInfo<SocketAddr> = head.extensions.get()?;
    ///         Some(peer.0.ip())
    ///     })
    ///     .build()?;
    /// let app: Router = Router::new().layer(inbox.layer());
    /// // For axum::serve:
    /// let app = app.into_make_service_with_connect_info::<SocketAddr>();
    /// # let _ = app;
    /// # Ok::<(), tower_inbox::BuildError>(())
    /// ```
    ///
    /// Behind a proxy, take the last address of `X-Forwarded-For`, if the proxy sets it.
    pub fn peer_address(
        mut self,
        find: impl Fn(&Parts) -> Option<IpAddr> + Send + Sync + 'static,
    ) -> Self {
        self.peer_address = PeerAddress::new(find);
        self
    }

    /// Creates the inbox.
    ///
    /// # Errors
    ///
    /// If a path or prefix is invalid, a path is given twice, or a model's scheme is invalid, such as for an empty
    /// secret.
    pub fn build(self) -> Result<Inbox, BuildError> {
        let models = Models::new();
        let budget = Budget::new(self.bytes_in_flight);
        for (path, model) in self.models {
            warn_of_unreachable_limit(&path, &model, &budget);
            models.add(&path, model)?;
        }
        for prefix in &self.prefixes {
            models.reserve_prefix(prefix)?;
        }
        metrics::describe();
        let config = ProcessConfig {
            answer_within: self.answer_within,
            archive_timeout: self.archive_timeout,
            clock: self.clock.clone(),
            expected: self.expectations.as_ref().map(|of| of.results.clone()),
            ..self.workers.process_config()
        };
        let decode_first = self.workers.decodes_first();
        let mode = if self.background { Mode::Background { decode_first } } else { Mode::Inline };
        let processor = Processor::with_config(self.archive, config);
        Ok(Inbox {
            pool: WorkerPool::new(processor.clone(), models.clone(), self.workers),
            models,
            budget,
            processor,
            mode,
            quarantine: self.quarantine,
            checks: self.expectations.map(|of| Checks::new(of, self.clock.clone())),
            clock: self.clock,
            peer_address: self.peer_address,
        })
    }
}

fn warn_of_unreachable_limit(path: &str, model: &Model, budget: &Budget) {
    let (body_limit, share) = (model.max_body_bytes(), budget.largest_share());
    if body_limit > share {
        tracing::warn!(
            path,
            body_limit,
            share,
            "bodies that are longer than three eighths of bytes_in_flight are always answered 503; raise bytes_in_flight or lower Model::body_limit"
        );
    }
}

/// Why an inbox cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A model cannot be added.
    #[error("invalid inbox")]
    Model(#[from] ModelError),
}
