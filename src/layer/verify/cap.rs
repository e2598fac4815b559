use std::{collections::VecDeque, time::SystemTime};

/// How much a quarantine holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cap {
    pub(super) deliveries: usize,
    pub(super) bytes: usize,
}

impl Default for Cap {
    fn default() -> Self {
        Self { deliveries: 1000, bytes: 64 << 20 }
    }
}

/// When the deliveries in a quarantine were received, and how long they are; the oldest first.
#[derive(Debug, Default)]
pub(super) struct Kept {
    deliveries: VecDeque<(SystemTime, usize)>,
    bytes: usize,
}

impl Kept {
    pub(super) fn push(&mut self, received_at: SystemTime, bytes: usize) {
        self.deliveries.push_back((received_at, bytes));
        self.bytes += bytes;
    }

    /// One more. If that is too much, the oldest have to go, and more of them than one: removing is dear. Before which
    /// time those were received.
    pub(super) fn add(
        &mut self,
        received_at: SystemTime,
        bytes: usize,
        cap: Cap,
    ) -> Option<SystemTime> {
        self.push(received_at, bytes);
        if self.fits(cap) {
            return None;
        }
        let less = |most: usize| most - most / 8;
        let cap = Cap { deliveries: less(cap.deliveries), bytes: less(cap.bytes) };
        let mut before = received_at;
        while !self.fits(cap)
            && let Some((received_at, bytes)) = self.deliveries.pop_front()
        {
            self.bytes -= bytes;
            // Those of the same moment cannot be told apart by time, and go with it.
            before =
                self.deliveries.front().map_or(received_at, |(next, _)| *next).max(received_at);
        }
        Some(before)
    }

    fn fits(&self, cap: Cap) -> bool {
        self.deliveries.len() <= cap.deliveries && self.bytes <= cap.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn when_there_are_too_many_an_eighth_of_them_goes() {
        let (mut kept, cap) = (Kept::default(), Cap { deliveries: 16, bytes: 1000 });
        for number in 0..16 {
            assert_eq!(kept.add(at(number), 1, cap), None);
        }
        assert_eq!(kept.add(at(16), 1, cap), Some(at(3)), "seventeen, of which fourteen stay");
        assert_eq!(kept.add(at(17), 1, cap), None);
    }

    #[test]
    fn when_there_are_too_many_bytes_the_oldest_go() {
        let (mut kept, cap) = (Kept::default(), Cap { deliveries: 16, bytes: 80 });
        assert_eq!(kept.add(at(1), 60, cap), None);
        assert_eq!(kept.add(at(2), 30, cap), Some(at(2)));
        assert_eq!(kept.add(at(3), 40, cap), None);
    }
}
