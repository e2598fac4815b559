use std::time::Duration;

use super::Retries;

/// How long a handler may take, and how often it is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) retries: Retries,
    /// Whether handlers run while senders wait.
    pub(crate) inline: bool,
    /// After how long a sender is answered whose delivery is still being handled.
    pub(crate) answer_within: Duration,
    /// How long a handler may take, where there are workers to try again.
    pub(crate) deadline: Duration,
}

/// Below the tightest that a provider publishes, which is 10 s.
const ANSWER_WITHIN: Duration = Duration::from_secs(8);

const DEADLINE: Duration = Duration::from_mins(5);

impl Default for Terms {
    fn default() -> Self {
        Self {
            retries: Retries::default(),
            inline: true,
            answer_within: ANSWER_WITHIN,
            deadline: DEADLINE,
        }
    }
}
