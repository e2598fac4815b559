use std::time::Duration;

use super::scheduler::Limits;
use crate::{
    archive::{Archive, LEASE_LENGTH},
    delivery::ModelName,
    process::{HANDLER_TIMEOUT, ProcessConfig, Processor, RetryPolicy},
};

/// The worker pool: how many deliveries it processes at a time, for how long, and how it retries. Default: 4 workers.
///
/// ```
/// use std::time::Duration;
/// use tower_inbox::{RetryPolicy, Workers};
///
/// let workers = Workers::new(8)
///     .each_model(4)
///     .each_model_per_second(50)
///     .handler_timeout(Duration::from_secs(60))
///     .retries(RetryPolicy::default().max_attempts(10));
/// # let _ = workers;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Workers {
    pub(super) limits: Limits,
    pub(super) decode_first: bool,
    pub(super) poll_interval: Duration,
    handler_timeout: Duration,
    lease_length: Duration,
    retries: RetryPolicy,
}

/// The default of [`Workers::poll_interval`].
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The shortest lease. Leases are renewed three times in their length.
const MIN_LEASE_LENGTH: Duration = Duration::from_secs(3);

impl Workers {
    /// Sets the maximum number of concurrent deliveries. Values below 1 are treated as 1.
    pub fn new(workers: usize) -> Self {
        Self {
            limits: Limits { all: workers.max(1), each_model: None, each_model_per_second: None },
            decode_first: false,
            poll_interval: POLL_INTERVAL,
            handler_timeout: HANDLER_TIMEOUT,
            lease_length: LEASE_LENGTH,
            retries: RetryPolicy::default(),
        }
    }

    /// Sets the maximum number of concurrent deliveries of one model. Values below 1 are treated as 1.
    ///
    /// Default: a model leaves one worker for each idle other model, but at most half of all workers, so that a model
    /// whose handler hangs does not starve the others while there are at least as many workers as models. A fixed
    /// number replaces this reserve: several models that hang can then occupy all workers.
    pub fn each_model(mut self, workers: usize) -> Self {
        self.limits.each_model = Some(workers.max(1));
        self
    }

    /// Sets the maximum number of deliveries of one model that workers start in a second, in this process. Values below
    /// 1 are treated as 1. Default: unlimited.
    pub fn each_model_per_second(mut self, starts: u32) -> Self {
        self.limits.each_model_per_second = Some(starts.max(1));
        self
    }

    /// Sets the time after which a handler is stopped and its attempt has failed. Default: 5 min.
    ///
    /// It also holds while a sender waits, once workers are started: the sender is answered earlier, after
    /// [`answer_within`](crate::InboxBuilder::answer_within), and workers retry.
    pub fn handler_timeout(mut self, time: Duration) -> Self {
        self.handler_timeout = time;
        self
    }

    /// Sets the length of the leases under which this process handles deliveries, also while their senders wait. They
    /// are renewed three times in that time. Values below 3 s are treated as 3 s. Default: 60 s.
    ///
    /// With an archive that is shared by several processes, it is the time after which others take over the deliveries
    /// of a process that was killed, and the longest time for which a process may hang without losing them. Each
    /// process sets the length of its own leases.
    pub fn lease_length(mut self, length: Duration) -> Self {
        self.lease_length = length.max(MIN_LEASE_LENGTH);
        self
    }

    /// Sets how often idle workers ask the archive for due deliveries, which other processes may have added or requeued.
    /// Values below 10 ms are treated as 10 ms. Default: 1 s.
    ///
    /// Workers start deliveries of their own process at once, and retries when they are due. A longer interval saves
    /// statements on a shared database, and delays only deliveries of other processes.
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval.max(Duration::from_millis(10));
        self
    }

    /// Sets when failed deliveries are retried. Default: [`RetryPolicy::default`].
    pub fn retries(mut self, retries: RetryPolicy) -> Self {
        self.retries = retries;
        self
    }

    /// In background mode, decodes each delivery before its sender is answered, so that an undecodable body gets the
    /// 4xx of the provider's profile instead of a 202. The worker decodes it again.
    pub fn decode_first(mut self) -> Self {
        self.decode_first = true;
        self
    }

    /// Creates the processor of `archive`, which retries and stops handlers as configured here. To stack layers by hand
    /// in background mode, start the workers with it.
    pub fn processor(self, archive: impl Archive) -> Processor {
        Processor::with_config(Box::new(archive), self.process_config())
    }

    pub(crate) fn process_config(self) -> ProcessConfig {
        let Self { retries, handler_timeout, lease_length, .. } = self;
        ProcessConfig { retries, handler_timeout, lease_length, ..ProcessConfig::default() }
    }

    pub(crate) fn decodes_first(self) -> bool {
        self.decode_first
    }
}

/// 4 workers.
impl Default for Workers {
    fn default() -> Self {
        Self::new(4)
    }
}

/// Why workers cannot be started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WorkersError {
    /// They were started before.
    #[error("workers are running already; start them once")]
    AlreadyStarted,
    /// There is no tokio runtime.
    #[error("no tokio runtime; start workers within one")]
    NoRuntime,
    /// The service is an axum router without a route for a model: it would respond 404 to every delivery, which makes
    /// them dead.
    #[error(
        "no route for the model {model}: the router responds 404 to {path}; pass the router with the paths that the \
         inbox receives, inside of Router::nest without the prefix"
    )]
    #[non_exhaustive]
    NoRoute {
        /// The model.
        model: ModelName,
        /// The path of the probe, with `probe` in place of each capture.
        path: String,
    },
}
