use std::time::{Duration, Instant};

/// How long outcomes wait for a delivery whose sync they can share. No response depends on them.
const OUTCOMES_WAIT: Duration = Duration::from_millis(1);

/// Waits shorter than this are not worth parking the thread for.
const SHORTEST: Duration = Duration::from_micros(50);

/// Taking fewer deliveries than this is not worth waking up for while others are on their way.
const SMALLEST_PART: usize = 16;

/// A sender that has not sent again after this time is assumed to be busy.
const LONGEST: Duration = Duration::from_millis(1);

/// The batching window derived from the last batch: how many deliveries to expect, and until when.
///
/// Senders whose deliveries were just acknowledged often send the next one immediately. A group of senders would
/// otherwise split into two halves, each waiting for the sync of the other, and each sync, however short, costs
/// interrupts and wake-ups that a larger batch shares. The wait for others is therefore limited to the duration of the
/// last batch, and a single sender does not wait at all. Commands that have arrived are prepared in the meantime.
#[derive(Clone, Copy, Debug)]
pub(in crate::archive::disk) struct BatchWindow {
    expected: usize,
    until: Instant,
}

/// The commands waiting to be written.
#[derive(Clone, Copy, Debug)]
pub(in crate::archive::disk) struct Waiting {
    /// The number of deliveries already taken and prepared.
    pub(in crate::archive::disk) taken: usize,
    /// The number of deliveries that have arrived since.
    pub(in crate::archive::disk) deliveries: usize,
    /// When the first of them arrived.
    pub(in crate::archive::disk) since: Instant,
}

impl BatchWindow {
    /// Returns the window before the first batch.
    pub(in crate::archive::disk) fn new() -> Self {
        Self { expected: 0, until: Instant::now() }
    }

    /// Returns the window after a batch that took `took`: `told` deliveries are answered `now` while `waiting` others
    /// are queued.
    pub(in crate::archive::disk) fn after(
        told: usize,
        waiting: usize,
        took: Duration,
        now: Instant,
    ) -> Self {
        let patience = took.min(LONGEST);
        let patience = if patience < SHORTEST { Duration::ZERO } else { patience };
        Self { expected: told + waiting, until: now + patience }
    }

    /// Returns how long to wait for more commands to join the batch; `None` if it should be written now.
    pub(in crate::archive::disk) fn patience(
        &self,
        waiting: Waiting,
        now: Instant,
    ) -> Option<Duration> {
        let until = match waiting.taken + waiting.deliveries {
            0 => waiting.since + OUTCOMES_WAIT,
            deliveries if deliveries < self.expected => self.until,
            _ => return None,
        };
        Some(until.saturating_duration_since(now)).filter(|patience| !patience.is_zero())
    }

    /// Returns how many queued deliveries end the wait early: one, if only outcomes are queued; otherwise half of the
    /// deliveries that are still expected, so that few remain to be prepared when the last arrives.
    pub(in crate::archive::disk) fn enough(&self, waiting: Waiting) -> usize {
        if waiting.taken + waiting.deliveries == 0 {
            return 1;
        }
        let rest = self.expected.saturating_sub(waiting.taken);
        if rest < 2 * SMALLEST_PART { rest } else { rest / 2 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYNC: Duration = Duration::from_micros(800);

    fn patience(
        window: BatchWindow,
        deliveries: usize,
        after: Duration,
        now: Instant,
    ) -> Option<Duration> {
        window.patience(Waiting { taken: 0, deliveries, since: now }, now + after)
    }

    #[test]
    fn those_who_were_just_told_are_waited_for() {
        let now = Instant::now();
        let window = BatchWindow::after(32, 32, SYNC, now);
        assert_eq!(patience(window, 32, Duration::ZERO, now), Some(SYNC));
        assert_eq!(patience(window, 64, Duration::ZERO, now), None);
        assert_eq!(patience(window, 63, SYNC, now), None);
    }

    #[test]
    fn a_lone_delivery_is_written_at_once() {
        let now = Instant::now();
        assert_eq!(patience(BatchWindow::new(), 1, Duration::ZERO, now), None);
        assert_eq!(patience(BatchWindow::after(1, 0, SYNC, now), 1, Duration::ZERO, now), None);
        assert_eq!(patience(BatchWindow::after(64, 0, SYNC, now), 1, SYNC, now), None);
    }

    #[test]
    fn a_slow_disk_is_waited_for_no_longer_than_a_millisecond() {
        let now = Instant::now();
        let window = BatchWindow::after(32, 32, Duration::from_millis(20), now);
        assert_eq!(patience(window, 32, Duration::ZERO, now), Some(LONGEST));
    }

    #[test]
    fn a_very_fast_disk_is_not_waited_for() {
        let now = Instant::now();
        let window = BatchWindow::after(32, 32, Duration::from_micros(40), now);
        assert_eq!(patience(window, 32, Duration::ZERO, now), None);
    }

    #[test]
    fn outcomes_wait_a_little_for_a_delivery() {
        let now = Instant::now();
        assert_eq!(patience(BatchWindow::new(), 0, Duration::ZERO, now), Some(OUTCOMES_WAIT));
        assert_eq!(patience(BatchWindow::new(), 0, OUTCOMES_WAIT, now), None);
    }
}
