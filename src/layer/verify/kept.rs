use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use super::cap::Cap;
use crate::delivery::DeliveryId;

/// The deliveries in a quarantine and how long they are, by the time of receipt.
#[derive(Debug, Default)]
pub(super) struct Kept {
    deliveries: BTreeMap<(SystemTime, DeliveryId), usize>,
    bytes: usize,
}

impl Kept {
    pub(super) fn add(&mut self, received_at: SystemTime, id: DeliveryId, bytes: usize) {
        if self.deliveries.insert((received_at, id), bytes).is_none() {
            self.bytes += bytes;
        }
    }

    pub(super) fn forget(&mut self, received_at: SystemTime, id: DeliveryId) {
        self.bytes -= self.deliveries.remove(&(received_at, id)).unwrap_or(0);
    }

    /// If there is too much, forgets the oldest, and says before which time all were received that have to go. The
    /// youngest stays: alone it fits.
    pub(super) fn trim(&mut self, cap: Cap) -> Option<SystemTime> {
        if cap.holds(self.deliveries.len(), self.bytes) {
            return None;
        }
        let low = cap.low();
        let mut last = None;
        while let Some(oldest) = self.oldest() {
            let fits = low.holds(self.deliveries.len(), self.bytes) || self.deliveries.len() == 1;
            // Those of the same moment cannot be told apart by time: they go together.
            if fits && last != Some(oldest) {
                return Some(oldest);
            }
            self.forget_oldest();
            last = Some(oldest);
        }
        last.and_then(|last| last.checked_add(Duration::from_micros(1)))
    }

    fn oldest(&self) -> Option<SystemTime> {
        self.deliveries.first_key_value().map(|((received_at, _), _)| *received_at)
    }

    fn forget_oldest(&mut self) {
        if let Some((_, bytes)) = self.deliveries.pop_first() {
            self.bytes -= bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn add(kept: &mut Kept, received_at: SystemTime, bytes: usize, cap: Cap) -> Option<SystemTime> {
        kept.add(received_at, DeliveryId::new(), bytes);
        kept.trim(cap)
    }

    #[test]
    fn when_there_are_too_many_an_eighth_of_them_goes() {
        let (mut kept, cap) = (Kept::default(), Cap { deliveries: 16, bytes: 1000 });
        for number in 0..16 {
            assert_eq!(add(&mut kept, at(number), 1, cap), None);
        }
        assert_eq!(
            add(&mut kept, at(16), 1, cap),
            Some(at(3)),
            "seventeen, of which fourteen stay"
        );
        assert_eq!(add(&mut kept, at(17), 1, cap), None);
    }

    #[test]
    fn when_there_are_too_many_bytes_the_oldest_go_whenever_they_came_in() {
        let (mut kept, cap) = (Kept::default(), Cap { deliveries: 16, bytes: 80 });
        assert_eq!(add(&mut kept, at(2), 30, cap), None);
        assert_eq!(add(&mut kept, at(3), 30, cap), None);
        assert_eq!(add(&mut kept, at(1), 30, cap), Some(at(2)));
        assert_eq!(kept.bytes, 60);
    }

    #[test]
    fn one_that_takes_nearly_all_stays_and_counts() {
        let (mut kept, cap) = (Kept::default(), Cap { deliveries: 16, bytes: 80 });
        for second in 1..5 {
            let too_old = add(&mut kept, at(second), 79, cap);
            assert_eq!(too_old, (second > 1).then(|| at(second)));
            assert_eq!((kept.deliveries.len(), kept.bytes), (1, 79));
        }
    }

    #[test]
    fn those_of_one_moment_go_together() {
        let (mut kept, cap) = (Kept::default(), Cap { deliveries: 2, bytes: 80 });
        for _ in 0..2 {
            assert_eq!(add(&mut kept, at(1), 1, cap), None);
        }
        assert_eq!(add(&mut kept, at(2), 1, cap), Some(at(2)));
        assert_eq!(kept.deliveries.len(), 1);
        add(&mut kept, at(2), 1, cap);
        assert!(add(&mut kept, at(2), 1, cap) > Some(at(2)), "there is nothing else to remove");
        assert_eq!((kept.deliveries.len(), kept.bytes), (0, 0));
    }

    #[test]
    fn what_was_let_go_counts_no_more() {
        let mut kept = Kept::default();
        let (first, second) = (DeliveryId::new(), DeliveryId::new());
        kept.add(at(1), first, 10);
        kept.add(at(1), second, 20);
        kept.forget(at(1), first);
        kept.forget(at(1), first);
        assert_eq!((kept.deliveries.len(), kept.bytes), (1, 20));
    }
}
