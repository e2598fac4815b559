use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use super::{cap::Cap, pace::Pace};

/// How many deliveries may be on their way into a quarantine at the same time.
const MOST: usize = 64;

/// Lets deliveries into a quarantine, or turns them away: what is on its way there takes memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Gate(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    deliveries: usize,
    bytes: usize,
    pace: Pace,
    turned_away: u64,
}

/// A delivery that was let in, until it is where it belongs.
#[derive(Debug)]
pub(super) struct Pass {
    gate: Gate,
    bytes: usize,
}

impl Gate {
    /// Lets a delivery in, unless that is more than `cap` holds together with what is on its way, or too fast.
    pub(super) fn pass(&self, bytes: usize, cap: Cap, now: Instant) -> Option<Pass> {
        let mut state = self.state();
        let most = Cap { deliveries: cap.deliveries.min(MOST), bytes: cap.bytes };
        let fits = most.holds(state.deliveries + 1, state.bytes.saturating_add(bytes));
        if !fits || !state.pace.admits(now, cap.deliveries) {
            state.turned_away += 1;
            return None;
        }
        state.deliveries += 1;
        state.bytes += bytes;
        Some(Pass { gate: self.clone(), bytes })
    }

    /// How many were not let in.
    pub(super) fn turned_away(&self) -> u64 {
        self.state().turned_away
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut state = self.gate.state();
        state.deliveries -= 1;
        state.bytes -= self.bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_its_way_is_bounded_and_makes_room_when_it_is_there() {
        let (gate, cap, now) =
            (Gate::default(), Cap { deliveries: 1000, bytes: 100 }, Instant::now());
        let first = gate.pass(60, cap, now).unwrap();
        assert!(gate.pass(41, cap, now).is_none() && gate.pass(usize::MAX, cap, now).is_none());
        let second = gate.pass(40, cap, now).unwrap();
        drop(first);
        assert!(gate.pass(60, cap, now).is_some());
        drop(second);
        let all: Vec<_> = (0..MOST + 5).filter_map(|_| gate.pass(1, cap, now)).collect();
        assert_eq!((all.len(), gate.turned_away()), (MOST, 7));
    }

    #[test]
    fn where_nothing_is_held_nothing_is_let_in() {
        let cap = Cap { deliveries: 0, bytes: 100 };
        assert!(Gate::default().pass(1, cap, Instant::now()).is_none());
    }
}
