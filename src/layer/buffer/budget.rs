use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::metrics;

/// How many bytes may be in flight in one inbox, unless it says otherwise: 256 MiB.
pub const DEFAULT_BYTES_IN_FLIGHT: usize = 256 << 20;

/// Bounds the memory of all requests that are being read, archived and handled. Clones share the bound.
///
/// A request counts with the memory allocated for its body, twice its headers, and 4 KiB for the rest. The buffer of a
/// body doubles while the body arrives, up to the announced length, and is cut to the length of the body at its end.
///
/// Bytes count from when they arrive, not from when they are announced: who only announces a long body takes nothing
/// from the others.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit: usize,
    used: AtomicUsize,
}

impl Budget {
    /// At most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Inner { limit, used: AtomicUsize::new(0) }))
    }

    /// How many bytes are in flight now.
    pub fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Whether there is room for as many more bytes now.
    pub(super) fn has_room_for(&self, bytes: u64) -> bool {
        let room = self.0.limit.saturating_sub(self.used());
        u64::try_from(room).is_ok_and(|room| bytes <= room)
    }

    /// Takes nothing yet.
    pub(super) fn reserve(&self) -> Reservation {
        Reservation { budget: self.clone(), bytes: 0 }
    }

    fn take(&self, bytes: usize) -> bool {
        let fits = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.0.limit);
        self.0.used.try_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }
}

/// 256 MiB.
impl Default for Budget {
    fn default() -> Self {
        Self::new(DEFAULT_BYTES_IN_FLIGHT)
    }
}

/// A part of the budget, given back when dropped.
#[derive(Debug)]
pub(in crate::layer) struct Reservation {
    budget: Budget,
    bytes: usize,
}

impl Reservation {
    /// Takes more; false, and nothing is taken, if the budget does not hold it.
    pub(super) fn grow(&mut self, bytes: usize) -> bool {
        let grown = self.budget.take(bytes);
        if grown {
            metrics::add_in_flight(bytes);
            self.bytes += bytes;
        }
        grown
    }

    /// Gives a part back.
    pub(super) fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.budget.0.used.fetch_sub(bytes, Ordering::Relaxed);
        metrics::subtract_in_flight(bytes);
        self.bytes -= bytes;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shrink(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_holds_and_what_is_dropped_comes_back() {
        let budget = Budget::new(10);
        let mut first = budget.reserve();
        let mut second = budget.reserve();
        assert!(first.grow(6) && !second.grow(5) && second.grow(4));
        assert!(!first.grow(usize::MAX));
        assert!(!budget.has_room_for(1) && budget.has_room_for(0));
        drop(first);
        assert_eq!(budget.used(), 4);
        assert!(budget.has_room_for(6));
        drop(second);
        assert_eq!(budget.used(), 0);
    }
}
