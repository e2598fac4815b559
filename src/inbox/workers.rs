use std::time::Duration;

use crate::layer::{Limits, Retries};

/// How many workers handle deliveries that no sender waits for, and on what terms.
///
/// ```
/// use std::time::Duration;
/// use tower_inbox::{Workers, layer::Retries};
///
/// let workers = Workers::new(8)
///     .each_model(4)
///     .deadline(Duration::from_secs(60))
///     .retries(Retries::default().attempts(10));
/// # let _ = workers;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Workers {
    pub(super) limits: Limits,
    pub(super) deadline: Duration,
    pub(super) retries: Retries,
}

impl Workers {
    /// At most so many deliveries are handled at the same time, at least one.
    pub fn new(workers: usize) -> Self {
        Self {
            limits: Limits { all: workers.max(1), each_model: None },
            deadline: Duration::from_mins(5),
            retries: Retries::default(),
        }
    }

    /// At most so many of one model, so that one whose handler hangs or fails does not starve the others. By default
    /// all but one, where several models have something to do.
    pub fn each_model(mut self, workers: usize) -> Self {
        self.limits.each_model = Some(workers);
        self
    }

    /// How long a handler may take before it is stopped, and its delivery has failed. By default 5 min. Handlers that a
    /// sender waits for are not stopped; see [`answer_within`](super::InboxBuilder::answer_within).
    pub fn deadline(mut self, time: Duration) -> Self {
        self.deadline = time;
        self
    }

    /// When a delivery whose handler has failed is tried again.
    pub fn retries(mut self, retries: Retries) -> Self {
        self.retries = retries;
        self
    }
}

/// Four workers.
impl Default for Workers {
    fn default() -> Self {
        Self::new(4)
    }
}
