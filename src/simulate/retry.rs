use std::{num::NonZeroU32, time::Duration};

use bytes::Bytes;
use http::StatusCode;
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use super::{Answer, NotRun, Report, Sender};
use crate::process::retry_policy::exponential_backoff;

/// The factor of the backoff after a status that asks the sender to slow down.
const SLOW_DOWN: u32 = 4;

/// How many times a [`Message`] is posted, and the backoff between its attempts.
///
/// Exponential backoff without jitter, so that tests are repeatable: the wait doubles with each attempt. After 429, 502
/// and 504, by which a receiver asks the sender to slow down (Standard Webhooks), it is four times as long.
///
/// ```
/// use std::{num::NonZeroU32, time::Duration};
/// use tower_inbox::simulate::Retries;
///
/// let three = NonZeroU32::new(3).unwrap();
/// let retries = Retries::default().max_attempts(three).initial_backoff(Duration::from_millis(10));
/// # let _ = retries;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    max_attempts: NonZeroU32,
    initial_backoff: Duration,
    max_backoff: Duration,
}

/// 10 attempts, backoff from 1 s to 1 h.
impl Default for Retries {
    fn default() -> Self {
        Self {
            max_attempts: NonZeroU32::MIN.saturating_add(9),
            initial_backoff: Duration::from_secs(1),
            max_backoff: Duration::from_secs(60 * 60),
        }
    }
}

impl Retries {
    /// Sets the maximum number of attempts, including the first one. Default: 10.
    pub fn max_attempts(mut self, attempts: NonZeroU32) -> Self {
        self.max_attempts = attempts;
        self
    }

    /// Sets the wait before the second attempt. Default: 1 s.
    pub fn initial_backoff(mut self, time: Duration) -> Self {
        self.initial_backoff = time;
        self
    }

    /// Sets the maximum wait before any attempt. Default: 1 h.
    pub fn max_backoff(mut self, time: Duration) -> Self {
        self.max_backoff = time;
        self
    }

    /// Decides what follows this answer to attempt number `attempts`.
    fn next(&self, attempts: u32, answer: &Answer) -> Next {
        let factor = match answer {
            Answer::Status(status) if status.is_success() => {
                return Next::End(DeliveryOutcome::Accepted);
            }
            Answer::Status(StatusCode::GONE) => return Next::End(DeliveryOutcome::Disabled),
            Answer::Status(
                StatusCode::TOO_MANY_REQUESTS
                | StatusCode::BAD_GATEWAY
                | StatusCode::GATEWAY_TIMEOUT,
            ) => SLOW_DOWN,
            _ => 1,
        };
        if attempts >= self.max_attempts.get() {
            return Next::End(DeliveryOutcome::GivenUp);
        }
        let wait = exponential_backoff(self.initial_backoff, attempts).saturating_mul(factor);
        Next::Retry(wait.min(self.max_backoff))
    }
}

/// What follows an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Another attempt after this wait.
    Retry(Duration),
    End(DeliveryOutcome),
}

/// How the delivery of a [`Message`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeliveryOutcome {
    /// The receiver answered 2xx.
    Accepted,
    /// The receiver answered 410, by which it disables the endpoint (Standard Webhooks). Post no other messages to it.
    Disabled,
    /// All attempts failed.
    GivenUp,
}

/// One message that is posted until the receiver accepts it.
///
/// All attempts have the same message id and body. Each has a new signature. Statuses other than 2xx and 410, refused
/// connections and timeouts are retried; so are redirects, which are not followed. `Retry-After` is not read. Create one
/// with [`Sender::message`].
///
/// ```
/// use axum::{Router, http::StatusCode, routing::post};
/// use tower_inbox::{
///     Secret,
///     signature::StandardWebhooks,
///     simulate::{DeliveryOutcome, Payloads, Retries, Sender, Target},
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = Router::new().route("/hooks", post(async || StatusCode::NO_CONTENT));
/// let scheme = StandardWebhooks::new(Secret::new("whsec_c2VjcmV0c2VjcmV0c2VjcmV0"));
/// let sender = Sender::new(Target::service(app, "/hooks")?, scheme);
///
/// let body = Payloads::of_standard().result().clone();
/// let mut message = sender.message(body, Retries::default());
/// while let Some(report) = message.attempt().await? {
///     println!("attempt {}: {}", message.attempts(), report.answer());
/// }
/// assert_eq!(message.outcome(), Some(DeliveryOutcome::Accepted));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Message {
    sender: Sender,
    retries: Retries,
    id: String,
    body: Bytes,
    attempts: u32,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// The next attempt is due at this time.
    Due(Instant),
    Ended(DeliveryOutcome),
}

impl Message {
    pub(super) fn new(sender: Sender, body: Bytes, retries: Retries) -> Self {
        let id = format!("msg_{}", Uuid::now_v7().simple());
        Self { sender, retries, id, body, attempts: 0, state: State::Due(Instant::now()) }
    }

    /// Returns the message id. Schemes without one ignore it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the number of attempts so far.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Returns how the delivery ended. `None` if another attempt is due.
    pub fn outcome(&self) -> Option<DeliveryOutcome> {
        match self.state {
            State::Due(_) => None,
            State::Ended(outcome) => Some(outcome),
        }
    }

    /// Returns the time until the next attempt. `None` if the delivery has ended.
    pub fn next_attempt_in(&self) -> Option<Duration> {
        match self.state {
            State::Due(at) => Some(at.saturating_duration_since(Instant::now())),
            State::Ended(_) => None,
        }
    }

    /// Waits until the next attempt is due, and makes it. Returns `None` if the delivery has ended.
    ///
    /// An attempt whose future is dropped does not count. The receiver may have received it.
    ///
    /// # Errors
    ///
    /// [`NotRun::Sign`] and [`NotRun::Request`] if there is no valid request. An answer other than 2xx is not an error.
    pub async fn attempt(&mut self) -> Result<Option<Report>, NotRun> {
        self.due().await;
        self.post().await
    }

    /// Makes all attempts, and returns how the delivery ended.
    ///
    /// # Errors
    ///
    /// Those of [`attempt`](Self::attempt).
    pub async fn deliver(&mut self) -> Result<DeliveryOutcome, NotRun> {
        loop {
            if let State::Ended(outcome) = self.state {
                return Ok(outcome);
            }
            self.attempt().await?;
        }
    }

    /// Waits until the next attempt is due.
    pub(super) async fn due(&self) {
        if let State::Due(at) = self.state {
            sleep_until(at).await;
        }
    }

    /// Makes the next attempt at once.
    pub(super) async fn post(&mut self) -> Result<Option<Report>, NotRun> {
        if let State::Ended(_) = self.state {
            return Ok(None);
        }
        let report = self.sender.post(&self.id, &self.body).await?;
        self.attempts = self.attempts.saturating_add(1);
        self.state = match self.retries.next(self.attempts, report.answer()) {
            Next::Retry(wait) => State::Due(after(wait)),
            Next::End(outcome) => State::Ended(outcome),
        };
        Ok(Some(report))
    }
}

/// Returns the time after this wait, at most a year from now: an instant cannot be arbitrarily late.
fn after(wait: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    Instant::now() + wait.min(YEAR)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn status(code: u16) -> Answer {
        Answer::Status(StatusCode::from_u16(code).unwrap())
    }

    #[test]
    fn only_2xx_is_accepted_and_only_410_disables() {
        let next = |code| Retries::default().next(1, &status(code));
        for code in [200, 202, 204, 299] {
            assert_eq!(next(code), Next::End(DeliveryOutcome::Accepted), "{code}");
        }
        assert_eq!(next(410), Next::End(DeliveryOutcome::Disabled));
        for code in [301, 302, 307, 400, 401, 404, 409, 413, 500, 503] {
            assert_eq!(next(code), Next::Retry(SECOND), "{code}");
        }
    }

    #[test]
    fn missing_responses_are_retried() {
        let (refused, reset) = ("refused".to_owned(), "reset".to_owned());
        for answer in [Answer::Unreachable(refused), Answer::Closed(reset), Answer::TimedOut] {
            assert_eq!(Retries::default().next(1, &answer), Next::Retry(SECOND), "{answer}");
        }
    }

    #[test]
    fn backoff_doubles_up_to_its_maximum_and_is_longer_for_429_502_and_504() {
        let retries = Retries::default().max_backoff(20 * SECOND);
        let waits = |code| {
            [1, 2, 3, 4, 9].map(|attempts| match retries.next(attempts, &status(code)) {
                Next::Retry(wait) => wait.as_secs(),
                Next::End(_) => 0,
            })
        };
        assert_eq!(waits(503), [1, 2, 4, 8, 20]);
        for code in [429, 502, 504] {
            assert_eq!(waits(code), [4, 8, 16, 20, 20], "{code}");
        }
    }

    #[test]
    fn last_attempt_gives_up_unless_it_is_accepted_or_disables() {
        let retries = Retries::default().max_attempts(NonZeroU32::new(3).unwrap());
        assert!(matches!(retries.next(2, &status(503)), Next::Retry(_)));
        for attempts in [3, 4, u32::MAX] {
            let next = |code| retries.next(attempts, &status(code));
            assert_eq!(next(503), Next::End(DeliveryOutcome::GivenUp));
            assert_eq!(next(200), Next::End(DeliveryOutcome::Accepted));
            assert_eq!(next(410), Next::End(DeliveryOutcome::Disabled));
        }
    }

    #[tokio::test]
    async fn backoff_of_any_length_does_not_overflow() {
        let longest = Retries::default().initial_backoff(Duration::MAX).max_backoff(Duration::MAX);
        let longest = longest.max_attempts(NonZeroU32::MAX);
        let next = longest.next(u32::MAX - 1, &status(504));
        assert_eq!(next, Next::Retry(Duration::MAX));
        assert!(after(Duration::MAX) > Instant::now());
    }
}
