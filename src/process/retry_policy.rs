use std::time::Duration;

/// When a failed delivery is retried, and when it is dead.
///
/// Exponential backoff with full jitter: the wait before attempt `n + 1` is random between zero and `initial_backoff`
/// times 2ⁿ⁻¹, at most `max_backoff`. A `Retry-After` of the handler is the minimum, up to `max_age`.
///
/// ```
/// use std::time::Duration;
/// use tower_inbox::RetryPolicy;
///
/// let retries = RetryPolicy::default().max_attempts(5).initial_backoff(Duration::from_millis(200));
/// # let _ = retries;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    max_attempts: u32,
    initial_backoff: Duration,
    max_backoff: Duration,
    max_age: Duration,
}

/// 25 attempts, backoff from 1 s to 1 h, 7 days.
impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 25,
            initial_backoff: Duration::from_secs(1),
            max_backoff: Duration::from_secs(60 * 60),
            max_age: Duration::from_secs(7 * 24 * 60 * 60),
        }
    }
}

/// Why a delivery is not retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GivenUp {
    #[error("gave up after {0} attempts")]
    Attempts(u32),
    #[error("gave up because it is older than {0:?}")]
    Age(Duration),
}

impl RetryPolicy {
    /// Sets the maximum number of attempts. Default: 25.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts;
        self
    }

    /// Sets the maximum wait before the second attempt. It doubles with each attempt. Default: 1 s.
    pub fn initial_backoff(mut self, time: Duration) -> Self {
        self.initial_backoff = time;
        self
    }

    /// Sets the maximum wait before any attempt, unless the handler asks for a longer one. Default: 1 h.
    pub fn max_backoff(mut self, time: Duration) -> Self {
        self.max_backoff = time;
        self
    }

    /// Sets the age after which a delivery is not retried, counted from its receipt. Default: 7 days. The first five
    /// attempts are made at any age, because a delivery may be old after an outage of the server or after
    /// [`Inbox::retry`](crate::Inbox::retry).
    pub fn max_age(mut self, time: Duration) -> Self {
        self.max_age = time;
        self
    }

    /// The wait after `attempts` attempts, if the last one failed when the delivery had this age. `requested` is the
    /// wait that the handler asked for; `jitter` is between 0 and 1.
    pub(super) fn wait(
        &self,
        attempts: u32,
        age: Duration,
        requested: Option<Duration>,
        jitter: f64,
    ) -> Result<Duration, GivenUp> {
        if attempts >= self.max_attempts {
            return Err(GivenUp::Attempts(attempts));
        }
        // A handler that passes on the `Retry-After` of another service may ask for centuries.
        let requested = requested.unwrap_or_default().min(self.max_age);
        let wait = scaled(self.bound(attempts), jitter).max(requested);
        let in_time = age.checked_add(wait).is_some_and(|then| then <= self.max_age);
        if in_time || attempts < AT_ANY_AGE { Ok(wait) } else { Err(GivenUp::Age(self.max_age)) }
    }

    fn bound(&self, attempts: u32) -> Duration {
        exponential_backoff(self.initial_backoff, attempts).min(self.max_backoff)
    }
}

/// The wait after `attempts` attempts, which doubles with each, from `initial` after the first.
pub(crate) fn exponential_backoff(initial: Duration, attempts: u32) -> Duration {
    initial.saturating_mul(2_u32.saturating_pow(attempts.saturating_sub(1)))
}

/// `wait` times `jitter`, which is between 0 and 1.
fn scaled(wait: Duration, jitter: f64) -> Duration {
    let seconds = wait.as_secs_f64() * jitter.clamp(0.0, 1.0);
    // Rounding can exceed what a duration can hold.
    Duration::try_from_secs_f64(seconds).unwrap_or(wait)
}

/// The number of attempts that are made at any age.
const AT_ANY_AGE: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn backoff_doubles_up_to_its_maximum_with_full_jitter() {
        let retries = RetryPolicy::default().max_backoff(5 * SECOND);
        let wait = |attempts, jitter| retries.wait(attempts, SECOND, None, jitter).unwrap();
        assert_eq!([1, 2, 3, 4, 24].map(|n| wait(n, 1.0).as_secs()), [1, 2, 4, 5, 5]);
        assert_eq!(wait(3, 0.25), SECOND);
        assert_eq!(wait(3, 0.0), Duration::ZERO);
    }

    #[test]
    fn max_attempts_and_max_age_end_the_retries() {
        let retries = RetryPolicy::default().max_attempts(7).max_age(100 * SECOND);
        assert_eq!(retries.wait(7, SECOND, None, 0.0), Err(GivenUp::Attempts(7)));
        assert_eq!(retries.wait(6, 68 * SECOND, None, 1.0), Ok(32 * SECOND));
        assert_eq!(retries.wait(6, 69 * SECOND, None, 1.0), Err(GivenUp::Age(100 * SECOND)));
        assert!(retries.wait(5, SECOND, Some(Duration::MAX), 1.0).is_err());
    }

    #[test]
    fn old_delivery_has_five_attempts() {
        let retries = RetryPolicy::default();
        let year = Duration::from_secs(24 * 365 * 60 * 60);
        let tried = (1..25).take_while(|n| retries.wait(*n, year, None, 0.5).is_ok()).count();
        assert_eq!(tried + 1, 5);
    }

    #[test]
    fn retry_after_is_the_minimum_wait() {
        let retries = RetryPolicy::default();
        assert_eq!(retries.wait(1, SECOND, Some(9 * SECOND), 1.0), Ok(9 * SECOND));
        assert_eq!(retries.wait(9, SECOND, Some(9 * SECOND), 1.0), Ok(256 * SECOND));
    }

    #[test]
    fn retry_after_beyond_the_clock_is_capped_at_max_age() {
        let retries = RetryPolicy::default().max_age(100 * SECOND);
        for seconds in [101, 253_402_300_800, u64::MAX] {
            let requested = Some(Duration::from_secs(seconds));
            assert_eq!(retries.wait(1, SECOND, requested, 1.0), Ok(100 * SECOND));
        }
    }

    #[test]
    fn backoff_of_any_length_does_not_overflow() {
        let longest = RetryPolicy::default().max_backoff(Duration::MAX).max_age(Duration::MAX);
        let longest = longest.initial_backoff(Duration::MAX);
        assert_eq!(longest.wait(1, Duration::ZERO, None, 1.0), Ok(Duration::MAX));
        assert_eq!(longest.wait(1, Duration::MAX, None, 1.0), Ok(Duration::MAX));
    }
}
