use std::time::{Duration, Instant};

/// How long outcomes wait for a delivery whose sync they can share. Nobody's answer waits for them.
const OUTCOMES_WAIT: Duration = Duration::from_millis(1);

/// Shorter waits than this are not worth to fall asleep for.
const SHORTEST: Duration = Duration::from_micros(50);

/// To take fewer deliveries than this is not worth to wake up for while others are on their way.
const SMALLEST_PART: usize = 16;

/// Who has not come back after this long is busy with something else.
const LONGEST: Duration = Duration::from_millis(1);

/// What the last batch says about the next: how many deliveries to expect, and for how long.
///
/// Those that were just told that theirs is durable often come back at once with the next. A group of senders would
/// otherwise fall into two halves, each of which waits for the sync of the other; and each sync, however short, costs the
/// processor the interrupts and the waking that larger batches share. So nobody waits longer for the others than the last
/// batch took, and who is alone waits for nobody. What has come is prepared in the meantime.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    expected: usize,
    until: Instant,
}

/// What waits to be written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    /// How many deliveries were taken, and are prepared.
    pub(super) taken: usize,
    /// How many came since.
    pub(super) deliveries: usize,
    /// When the first of all came.
    pub(super) since: Instant,
}

impl Pace {
    /// Nothing was written yet.
    pub(super) fn new() -> Self {
        Self { expected: 0, until: Instant::now() }
    }

    /// After a batch that took `took`, of which `told` deliveries are answered `now` while others wait already.
    pub(super) fn after(told: usize, waiting: usize, took: Duration, now: Instant) -> Self {
        let patience = took.min(LONGEST);
        let patience = if patience < SHORTEST { Duration::ZERO } else { patience };
        Self { expected: told + waiting, until: now + patience }
    }

    /// How long to wait for more to be written with what waits; nothing, if it is to be written now.
    pub(super) fn patience(&self, waiting: Waiting, now: Instant) -> Option<Duration> {
        let until = match waiting.taken + waiting.deliveries {
            0 => waiting.since + OUTCOMES_WAIT,
            deliveries if deliveries < self.expected => self.until,
            _ => return None,
        };
        Some(until.saturating_duration_since(now)).filter(|patience| !patience.is_zero())
    }

    /// How many deliveries are enough to be taken before that: one, if only outcomes wait, and else half of those that
    /// are still to come, so that few are left to be prepared once the last has come.
    pub(super) fn enough(&self, waiting: Waiting) -> usize {
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

    fn patience(pace: Pace, deliveries: usize, after: Duration, now: Instant) -> Option<Duration> {
        pace.patience(Waiting { taken: 0, deliveries, since: now }, now + after)
    }

    #[test]
    fn those_who_were_just_told_are_waited_for() {
        let now = Instant::now();
        let pace = Pace::after(32, 32, SYNC, now);
        assert_eq!(patience(pace, 32, Duration::ZERO, now), Some(SYNC));
        assert_eq!(patience(pace, 64, Duration::ZERO, now), None);
        assert_eq!(patience(pace, 63, SYNC, now), None);
    }

    #[test]
    fn a_lone_delivery_is_written_at_once() {
        let now = Instant::now();
        assert_eq!(patience(Pace::new(), 1, Duration::ZERO, now), None);
        assert_eq!(patience(Pace::after(1, 0, SYNC, now), 1, Duration::ZERO, now), None);
        assert_eq!(patience(Pace::after(64, 0, SYNC, now), 1, SYNC, now), None);
    }

    #[test]
    fn a_slow_disk_is_waited_for_no_longer_than_a_millisecond() {
        let now = Instant::now();
        let pace = Pace::after(32, 32, Duration::from_millis(20), now);
        assert_eq!(patience(pace, 32, Duration::ZERO, now), Some(LONGEST));
    }

    #[test]
    fn a_very_fast_disk_is_not_waited_for() {
        let now = Instant::now();
        let pace = Pace::after(32, 32, Duration::from_micros(40), now);
        assert_eq!(patience(pace, 32, Duration::ZERO, now), None);
    }

    #[test]
    fn outcomes_wait_a_little_for_a_delivery() {
        let now = Instant::now();
        assert_eq!(patience(Pace::new(), 0, Duration::ZERO, now), Some(OUTCOMES_WAIT));
        assert_eq!(patience(Pace::new(), 0, OUTCOMES_WAIT, now), None);
    }
}
