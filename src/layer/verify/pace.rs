use std::time::{Duration, Instant};

const HOUR: Duration = Duration::from_hours(1);

/// How fast a quarantine takes deliveries: twice as many at once as it holds, and then as many an hour as it holds.
///
/// Of each that goes again the archive remembers a line for ever. Without this, a flood would fill the disk by its lines.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When all that was taken would have come, one after the other at the pace of an hour.
    due: Option<Instant>,
}

impl Pace {
    /// Whether one more may come in now.
    pub(super) fn admits(&mut self, now: Instant, an_hour: usize) -> bool {
        let step = HOUR / u32::try_from(an_hour).unwrap_or(u32::MAX).max(1);
        let due = self.due.map_or(now, |due| due.max(now));
        let admitted = due.duration_since(now) + step <= 2 * HOUR;
        if admitted {
            self.due = due.checked_add(step);
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_of_twice_as_many_is_taken_and_then_so_many_an_hour() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        let mut taken = |now| (0..100).filter(|_| pace.admits(now, 10)).count();
        assert_eq!(taken(now), 20);
        assert_eq!(taken(now + HOUR / 10), 1);
        assert_eq!(taken(now + HOUR), 9);
        assert_eq!(taken(now + 10 * HOUR), 20);
    }
}
