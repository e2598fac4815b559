use std::time::Duration;

use super::{Inbox, Workers, staff::Staff};
use crate::{
    archive::Archive,
    layer::{
        AcceptLayer, Budget, Clock, Custody, DEFAULT_BYTES_IN_FLIGHT, ModelError, Models,
        Quarantine, Terms, metrics,
    },
    provider::Model,
};

/// Puts an [`Inbox`] together.
#[derive(Debug)]
#[must_use = "call build() to get the inbox"]
pub struct InboxBuilder {
    archive: Box<dyn Archive>,
    models: Vec<(String, Model)>,
    prefixes: Vec<String>,
    bytes_in_flight: usize,
    accept: AcceptLayer,
    workers: Workers,
    answer_within: Duration,
    quarantine: Option<Quarantine>,
    clock: Clock,
}

impl InboxBuilder {
    pub(super) fn new(archive: Box<dyn Archive>) -> Self {
        Self {
            archive,
            models: Vec::new(),
            prefixes: Vec::new(),
            bytes_in_flight: DEFAULT_BYTES_IN_FLIGHT,
            accept: AcceptLayer::inline(),
            workers: Workers::default(),
            answer_within: Terms::default().answer_within,
            quarantine: None,
            clock: Clock::default(),
        }
    }

    /// Receives the deliveries of `model` at `path`, which may have captures: `/hooks/property/{reference}`.
    pub fn model(mut self, path: impl Into<String>, model: Model) -> Self {
        self.models.push((path.into(), model));
        self
    }

    /// Answers 404 to all that is at `prefix` or below it and is not for a model. By default such requests pass
    /// through to the service inside.
    pub fn claim(mut self, prefix: impl Into<String>) -> Self {
        self.prefixes.push(prefix.into());
        self
    }

    /// How many bytes may be in flight at the same time, from when they arrive until they are handled; a request counts
    /// with its body, twice its headers, and 4 KiB for the rest. By
    /// default 256 MiB. What is over it is answered 503 at once.
    pub fn bytes_in_flight(mut self, bytes: usize) -> Self {
        self.bytes_in_flight = bytes;
        self
    }

    /// Deliveries are answered 202, or what the provider's profile says, as soon as they are archived, and `workers`
    /// handle them: for handlers that take longer than a sender waits, or that must not be lost to an outage of what
    /// they need. [`Inbox::work`] starts the workers.
    pub fn background(self, workers: Workers) -> Self {
        let accept = AcceptLayer::background();
        Self { accept, ..self.workers(workers) }
    }

    /// Deliveries are handled while their sender waits, which is the default. `workers` handle what has failed, what
    /// was left by a crash, and what somebody asks for. [`Inbox::work`] starts them. By default four.
    pub fn workers(mut self, workers: Workers) -> Self {
        self.workers = workers;
        self
    }

    /// How long a sender waits for a handler. After that it is answered 202, or what its profile says, and the handler
    /// goes on; if it fails, workers try again. By default 8 s, less than any provider waits that says how long. Only
    /// while there are [workers](Inbox::work).
    pub fn answer_within(mut self, time: Duration) -> Self {
        self.answer_within = time;
        self
    }

    /// Keeps deliveries whose sender could not be proved, within the limits of `quarantine`, until
    /// [`Inbox::release`] verifies them again. By default they are gone with their 401.
    pub fn quarantine(mut self, quarantine: Quarantine) -> Self {
        self.quarantine = Some(quarantine);
        self
    }

    /// Another clock than the system's for the time of receipt, at which signatures are judged: to post a recorded
    /// request in a test as of its time.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The inbox.
    ///
    /// # Errors
    ///
    /// If a path or a claimed prefix cannot be used, if a path is given twice, or a model's sender cannot be verified, such as for an empty secret.
    pub fn build(self) -> Result<Inbox, BuildError> {
        let models = Models::new();
        for (path, model) in self.models {
            models.add(&path, model)?;
        }
        for prefix in &self.prefixes {
            models.claim(prefix)?;
        }
        metrics::describe();
        let Workers { retries, deadline, .. } = self.workers;
        let (inline, answer_within) = (self.accept.is_inline(), self.answer_within);
        let terms = Terms { retries, inline, deadline, answer_within };
        Ok(Inbox {
            models,
            budget: Budget::new(self.bytes_in_flight),
            custody: Custody::boxed(self.archive, terms),
            accept: self.accept,
            workers: self.workers,
            staff: Staff::default(),
            quarantine: self.quarantine,
            clock: self.clock,
        })
    }
}

/// Why an inbox cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A model cannot be added.
    #[error("the inbox cannot be built")]
    Model(#[from] ModelError),
}
