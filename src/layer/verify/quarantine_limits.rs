//! The limits of a quarantine: how much it holds, how much is on its way there, and how fast it accepts deliveries.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The maximum number of deliveries that are being stored at the same time. Each takes memory.
const MAX_IN_FLIGHT: usize = 64;

/// The maximum size of a quarantine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Capacity {
    pub(super) deliveries: usize,
    pub(super) bytes: usize,
}

/// 1000 deliveries, 64 MiB.
impl Default for Capacity {
    fn default() -> Self {
        Self { deliveries: 1000, bytes: 64 << 20 }
    }
}

impl Capacity {
    pub(super) fn holds(self, deliveries: usize, bytes: usize) -> bool {
        deliveries <= self.deliveries && bytes <= self.bytes
    }

    /// The size to which a full quarantine is trimmed: seven eighths. Each removal is expensive, so deliveries are not
    /// removed one by one.
    pub(super) fn after_trim(self) -> Self {
        let trimmed = |limit: usize| limit - limit / 8;
        Self { deliveries: trimmed(self.deliveries), bytes: trimmed(self.bytes) }
    }
}

/// Admits deliveries to a quarantine, or discards them. Clones share the state.
#[derive(Clone, Debug, Default)]
pub(super) struct Admission(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Deliveries that are being stored.
    deliveries: usize,
    bytes: usize,
    rate: RateLimit,
    discarded: u64,
}

/// A delivery that was admitted and is being stored, until dropped.
#[derive(Debug)]
pub(super) struct Permit {
    admission: Admission,
    bytes: usize,
}

impl Admission {
    /// Admits a delivery of this length. None if it does not fit beside those that are being stored, or if the rate is
    /// exceeded.
    pub(super) fn admit(&self, bytes: usize, capacity: Capacity, now: Instant) -> Option<Permit> {
        let mut state = self.state();
        let limit =
            Capacity { deliveries: capacity.deliveries.min(MAX_IN_FLIGHT), bytes: capacity.bytes };
        let fits = limit.holds(state.deliveries + 1, state.bytes.saturating_add(bytes));
        if !fits || !state.rate.admit(now, capacity.deliveries) {
            state.discarded += 1;
            return None;
        }
        state.deliveries += 1;
        state.bytes += bytes;
        Some(Permit { admission: self.clone(), bytes })
    }

    /// The number of deliveries that were not admitted.
    pub(super) fn discarded(&self) -> u64 {
        self.state().discarded
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.admission.state();
        state.deliveries -= 1;
        state.bytes -= self.bytes;
    }
}

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Limits the rate of admissions: a burst of twice the capacity, then the capacity per hour.
///
/// The archive keeps a ledger entry of each delivery that is removed. Without this limit, a flood of requests would
/// fill the disk with entries.
#[derive(Debug, Default)]
struct RateLimit {
    /// When the admitted deliveries would all have arrived at the hourly rate.
    due: Option<Instant>,
}

impl RateLimit {
    /// Returns true, and counts one delivery, if it is within the rate.
    fn admit(&mut self, now: Instant, per_hour: usize) -> bool {
        let step = HOUR / u32::try_from(per_hour).unwrap_or(u32::MAX).max(1);
        let due = self.due.map_or(now, |due| due.max(now));
        let is_admitted = due.duration_since(now) + step <= 2 * HOUR;
        if is_admitted {
            self.due = due.checked_add(step);
        }
        is_admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deliveries_that_are_being_stored_are_limited_in_number_and_bytes() {
        let (admission, now) = (Admission::default(), Instant::now());
        let capacity = Capacity { deliveries: 1000, bytes: 100 };
        let admit = |bytes| admission.admit(bytes, capacity, now);
        let first = admit(60).unwrap();
        assert!(admit(41).is_none() && admit(usize::MAX).is_none());
        let second = admit(40).unwrap();
        drop(first);
        assert!(admit(60).is_some());
        drop(second);
        let all: Vec<_> = (0..MAX_IN_FLIGHT + 5).filter_map(|_| admit(1)).collect();
        assert_eq!((all.len(), admission.discarded()), (MAX_IN_FLIGHT, 7));
    }

    #[test]
    fn quarantine_of_capacity_zero_admits_nothing() {
        let capacity = Capacity { deliveries: 0, bytes: 100 };
        assert!(Admission::default().admit(1, capacity, Instant::now()).is_none());
    }

    #[test]
    fn rate_limit_admits_a_burst_of_twice_the_capacity_and_then_the_capacity_per_hour() {
        let (mut rate, now) = (RateLimit::default(), Instant::now());
        let mut admitted = |now| (0..100).filter(|_| rate.admit(now, 10)).count();
        assert_eq!(admitted(now), 20);
        assert_eq!(admitted(now + HOUR / 10), 1);
        assert_eq!(admitted(now + HOUR), 9);
        assert_eq!(admitted(now + 10 * HOUR), 20);
    }
}
