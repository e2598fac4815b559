use std::time::{Duration, SystemTime};

/// When a delivery whose handler has failed is tried again, and when no more.
///
/// Exponential backoff with full jitter: before attempt `n + 1` it waits for a random part of `first_wait` times
/// 2ⁿ⁻¹, at most of `longest_wait`. A handler that answers `Retry-After` is not asked again before that.
///
/// ```
/// use std::time::Duration;
/// use tower_inbox::layer::Retries;
///
/// let retries = Retries::default().attempts(5).first_wait(Duration::from_millis(200));
/// # let _ = retries;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    attempts: u32,
    first_wait: Duration,
    longest_wait: Duration,
    longest_age: Duration,
}

/// 25 attempts; waits from 1 s to 1 h; 7 days.
impl Default for Retries {
    fn default() -> Self {
        Self {
            attempts: 25,
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_hours(1),
            longest_age: Duration::from_hours(7 * 24),
        }
    }
}

/// Why a delivery is not tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::layer) enum GivenUp {
    #[error("tried {0} times")]
    Attempts(u32),
    #[error("older than {0:?}")]
    Age(Duration),
}

impl Retries {
    /// How often a handler is begun with a delivery before it is dead. By default 25 times.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// The longest wait before the second attempt. By default 1 s. Doubles with each attempt.
    pub fn first_wait(mut self, time: Duration) -> Self {
        self.first_wait = time;
        self
    }

    /// The longest wait before any attempt, unless the handler asks for a longer one. By default 1 h.
    pub fn longest_wait(mut self, time: Duration) -> Self {
        self.longest_wait = time;
        self
    }

    /// How long after it was received a delivery is tried for the last time. By default 7 days. The first five attempts
    /// are made at whatever age: what is older may be so because the server was down, or because somebody has it
    /// [handled again](crate::Inbox::retry).
    pub fn longest_age(mut self, time: Duration) -> Self {
        self.longest_age = time;
        self
    }

    /// How long to wait after so many attempts, the last of which failed when the delivery was of this age. `asked` is
    /// what the handler asked for, `jitter` a part of one.
    pub(in crate::layer) fn wait(
        &self,
        attempts: u32,
        age: Duration,
        asked: Option<Duration>,
        jitter: f64,
    ) -> Result<Duration, GivenUp> {
        if attempts >= self.attempts {
            return Err(GivenUp::Attempts(attempts));
        }
        let wait =
            self.bound(attempts).mul_f64(jitter.clamp(0.0, 1.0)).max(asked.unwrap_or_default());
        let in_time = age.checked_add(wait).is_some_and(|then| then <= self.longest_age);
        if in_time || attempts < AT_ANY_AGE {
            Ok(wait)
        } else {
            Err(GivenUp::Age(self.longest_age))
        }
    }

    /// How long to wait, at `now`, with a delivery that somebody else has left for `due`.
    ///
    /// No longer than for a day, or for the longest wait: who sets a clock back does not put off a delivery for ever.
    pub(crate) fn wait_until(&self, due: SystemTime, now: SystemTime) -> Duration {
        due.duration_since(now).unwrap_or_default().min(self.longest_wait.max(A_DAY))
    }

    /// How long to wait with a delivery that somebody else has left without saying until when: the start may have brought
    /// what was missing.
    pub(crate) fn wait_after_start(&self, attempts: u32, jitter: f64) -> Duration {
        self.bound(attempts).min(SOON).mul_f64(jitter.clamp(0.0, 1.0))
    }

    fn bound(&self, attempts: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(attempts.saturating_sub(1));
        self.first_wait.saturating_mul(doubled).min(self.longest_wait)
    }
}

/// How many attempts are made however old the delivery is.
const AT_ANY_AGE: u32 = 5;

const A_DAY: Duration = Duration::from_hours(24);

/// The longest wait after a start.
const SOON: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_wait_doubles_up_to_its_bound_and_jitter_takes_a_part() {
        let retries = Retries::default().longest_wait(5 * SECOND);
        let wait = |attempts, jitter| retries.wait(attempts, SECOND, None, jitter).unwrap();
        assert_eq!([1, 2, 3, 4, 24].map(|n| wait(n, 1.0).as_secs()), [1, 2, 4, 5, 5]);
        assert_eq!(wait(3, 0.25), SECOND);
        assert_eq!(wait(3, 0.0), Duration::ZERO);
    }

    #[test]
    fn attempts_and_age_are_bounded() {
        let retries = Retries::default().attempts(7).longest_age(100 * SECOND);
        assert_eq!(retries.wait(7, SECOND, None, 0.0), Err(GivenUp::Attempts(7)));
        assert_eq!(retries.wait(6, 68 * SECOND, None, 1.0), Ok(32 * SECOND));
        assert_eq!(retries.wait(6, 69 * SECOND, None, 1.0), Err(GivenUp::Age(100 * SECOND)));
        assert!(retries.wait(5, SECOND, Some(Duration::MAX), 1.0).is_err());
    }

    #[test]
    fn what_is_old_is_tried_five_times_all_the_same() {
        let retries = Retries::default();
        let year = Duration::from_hours(365 * 24);
        let tried = (1..25).take_while(|n| retries.wait(*n, year, None, 0.5).is_ok()).count();
        assert_eq!(tried + 1, 5);
    }

    #[test]
    fn what_the_handler_asks_for_is_the_least() {
        let retries = Retries::default();
        assert_eq!(retries.wait(1, SECOND, Some(9 * SECOND), 1.0), Ok(9 * SECOND));
        assert_eq!(retries.wait(9, SECOND, Some(9 * SECOND), 1.0), Ok(256 * SECOND));
    }

    #[test]
    fn what_was_to_wait_waits_on_after_a_start_but_not_for_ever() {
        let retries = Retries::default();
        let now = SystemTime::UNIX_EPOCH + 1000 * A_DAY;
        for (due, wait) in [
            (now + 9 * SECOND, 9 * SECOND),
            (now - 9 * SECOND, Duration::ZERO),
            (now + 900 * A_DAY, A_DAY),
        ] {
            assert_eq!(retries.wait_until(due, now), wait);
        }
        let patient = retries.longest_wait(3 * A_DAY);
        assert_eq!(patient.wait_until(now + 900 * A_DAY, now), 3 * A_DAY);
    }

    #[test]
    fn what_was_left_without_a_time_does_not_wait_for_long_after_a_start() {
        assert_eq!(Retries::default().wait_after_start(20, 1.0), SOON);
        assert_eq!(Retries::default().wait_after_start(1, 1.0), SECOND);
    }
}
