use std::{
    ops::{Bound, RangeBounds},
    time::SystemTime,
};

/// The time during which a secret or a key counts; by default all time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    from: Bound<SystemTime>,
    until: Bound<SystemTime>,
}

impl Validity {
    pub(super) fn during(range: &impl RangeBounds<SystemTime>) -> Self {
        Self { from: range.start_bound().cloned(), until: range.end_bound().cloned() }
    }

    pub(super) fn holds(self, at: SystemTime) -> bool {
        (self.from, self.until).contains(&at)
    }
}

impl Default for Validity {
    fn default() -> Self {
        Self::during(&..)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_bounds_are_those_of_the_range() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let validity = Validity::during(&(at(10)..at(20)));
        let live: Vec<_> = (8..22).filter(|seconds| validity.holds(at(*seconds))).collect();
        assert_eq!(live, (10..20).collect::<Vec<_>>());
        assert!(Validity::during(&(..=at(20))).holds(at(20)));
        assert!(Validity::default().holds(at(0)));
    }
}
