use std::time::Duration;

use tokio::time::Instant;

use crate::{process::Rejection, provider::Model};

/// How often the rate of a body is checked. A body that stalls for no longer than this is never rejected for it.
const WINDOW: Duration = Duration::from_secs(10);

/// Decides how long to wait for a body: until its deadline, and only while enough of it arrives in every window of 10 s.
///
/// The rate is that of the last window. An average since the start would let a sender send most of a long body at once and
/// then keep its memory until the deadline.
#[derive(Debug)]
pub(super) struct ReadTimeout {
    /// The minimum rate, in bytes per second.
    rate: usize,
    timeout: Duration,
    deadline: Instant,
    window_start: Instant,
    /// The number of bytes that had arrived at the start of the window.
    received: usize,
}

impl ReadTimeout {
    pub(super) fn start(model: &Model, now: Instant) -> Self {
        let timeout = model.max_body_time();
        // A year is as good as no timeout, and the clock can hold it.
        let far = Duration::from_hours(24 * 365);
        Self {
            rate: model.min_body_bytes_per_second(),
            timeout,
            deadline: now + timeout.min(far),
            window_start: now,
            received: 0,
        }
    }

    /// When to check, unless the body has ended before.
    pub(super) fn next_check(&self) -> Instant {
        self.deadline.min(self.window_start + WINDOW)
    }

    /// Checks whether to wait for the rest of a body after `received` bytes.
    ///
    /// # Errors
    ///
    /// The rejection, if not.
    pub(super) fn check(&mut self, received: usize, now: Instant) -> Result<(), Rejection> {
        if now >= self.deadline {
            return Err(Rejection::TooSlow { timeout: self.timeout });
        }
        if now >= self.window_start + WINDOW {
            let arrived = received - self.received;
            let seconds = usize::try_from(WINDOW.as_secs()).unwrap_or(usize::MAX);
            if arrived < self.rate.saturating_mul(seconds) {
                return Err(Rejection::BelowMinimumRate { rate: self.rate });
            }
            (self.window_start, self.received) = (now, received);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{provider::foxyai, signature::Secret};

    const SECOND: Duration = Duration::from_secs(1);

    fn timeout(start: Instant) -> ReadTimeout {
        let model = foxyai::image_group().token_in_query("token", Secret::new("correct horse"));
        ReadTimeout::start(&model.body_timeout(25 * SECOND).min_body_rate(100), start)
    }

    #[test]
    fn body_that_stalls_after_much_of_it_has_arrived_is_rejected_after_one_window() {
        let start = Instant::now();
        let mut timeout = timeout(start);
        assert_eq!(timeout.next_check(), start + WINDOW);
        timeout.check(0, start + 9 * SECOND).unwrap();
        timeout.check(1 << 20, start + 10 * SECOND).unwrap();
        assert_eq!(timeout.next_check(), start + 20 * SECOND);
        let stalled = timeout.check((1 << 20) + 999, start + 20 * SECOND);
        assert!(matches!(stalled, Err(Rejection::BelowMinimumRate { rate: 100 })));
    }

    #[test]
    fn body_of_the_minimum_rate_is_rejected_at_the_deadline() {
        let start = Instant::now();
        let mut timeout = timeout(start);
        timeout.check(1000, start + 10 * SECOND).unwrap();
        timeout.check(2000, start + 20 * SECOND).unwrap();
        assert_eq!(timeout.next_check(), start + 25 * SECOND);
        let late = timeout.check(1 << 20, start + 25 * SECOND);
        assert!(matches!(late, Err(Rejection::TooSlow { .. })));
    }
}
