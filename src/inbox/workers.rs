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
    /// a model leaves one worker for each other model of which nothing is handled, whether or not it has something to do,
    /// but no more than half of all: where there are as many workers as models, none starves. A number takes the place
    /// of that: with it, several models that hang can take all workers together.
    pub fn each_model(mut self, workers: usize) -> Self {
        self.limits.each_model = Some(workers);
        self
    }

    /// How long a handler may take before it is stopped, and its delivery has failed. By default 5 min, from when the
    /// handler is begun. It holds for those that a sender waits for, too: the sender is answered earlier, after
    /// [`answer_within`](super::InboxBuilder::answer_within), and what is stopped is tried again by workers. Before
    /// [`Inbox::work`](super::Inbox::work) was called, those are not stopped.
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
