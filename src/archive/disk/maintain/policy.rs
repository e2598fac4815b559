use std::time::{Duration, SystemTime};

use crate::{
    archive::{StateFilter, disk::format::name::SegmentState},
    delivery::StateKind,
};

/// The retention policy, and the thresholds for sealing and compressing.
#[derive(Clone, Debug)]
pub(in crate::archive::disk) struct RetentionPolicy {
    pub(in crate::archive::disk) segment_age: Duration,
    pub(in crate::archive::disk) compress_after: Option<Duration>,
    pub(in crate::archive::disk) retention: Option<Duration>,
    /// The same for dead and undecodable deliveries.
    pub(in crate::archive::disk) dead_retention: Option<Duration>,
    pub(in crate::archive::disk) max_bytes: Option<u64>,
    /// How long after its receipt a removed delivery is remembered, and the maximum number of such deliveries.
    pub(in crate::archive::disk) ledger_retention: Option<Duration>,
    pub(in crate::archive::disk) ledger_limit: u64,
    /// The maintenance interval; with `None`, maintenance runs only on request.
    pub(in crate::archive::disk) every: Option<Duration>,
}

impl Default for RetentionPolicy {
    fn default() -> Self {
        Self {
            segment_age: Duration::from_secs(24 * 60 * 60),
            compress_after: Some(Duration::from_secs(7 * 24 * 60 * 60)),
            retention: None,
            dead_retention: None,
            max_bytes: None,
            ledger_retention: Some(Duration::from_secs(30 * 24 * 60 * 60)),
            ledger_limit: 2_000_000,
            every: Some(Duration::from_secs(60)),
        }
    }
}

/// When the first and the last delivery of a segment were received; `None` if it contains none, or none any more.
pub(in crate::archive::disk) type Times = Option<(SystemTime, SystemTime)>;

impl RetentionPolicy {
    /// Returns whether a segment must be sealed although it is not full.
    pub(in crate::archive::disk) fn seals(&self, times: Times, now: SystemTime) -> bool {
        times.is_some_and(|(first, _)| age(first, now) >= self.segment_age)
    }

    /// Returns whether a sealed segment must be compressed.
    pub(in crate::archive::disk) fn compresses(
        &self,
        segment_state: SegmentState,
        times: Times,
        now: SystemTime,
    ) -> bool {
        let due = |after| times.is_none_or(|(_, last)| age(last, now) >= after);
        segment_state == SegmentState::Sealed && self.compress_after.is_some_and(due)
    }

    /// Returns the states of the deliveries in a segment that must be removed because of their age.
    pub(in crate::archive::disk) fn removes(
        &self,
        times: Times,
        now: SystemTime,
    ) -> impl Iterator<Item = StateFilter> {
        let due = move |keep: Option<Duration>| {
            let old = |keep| times.is_some_and(|(_, last)| age(last, now) >= keep);
            keep.is_some_and(old)
        };
        let dead = [StateKind::Dead, StateKind::Undecodable].map(StateFilter::Only);
        let finished = due(self.retention).then_some(StateFilter::Finished);
        let dead = due(self.dead_retention).then_some(dead);
        finished.into_iter().chain(dead.into_iter().flatten())
    }

    /// Returns whether removed deliveries must be forgotten, given when the last of them was received and how many
    /// removed deliveries are remembered in total.
    pub(in crate::archive::disk) fn forgets(
        &self,
        last: SystemTime,
        remembered: u64,
        now: SystemTime,
    ) -> bool {
        let old = self.ledger_retention.is_some_and(|window| age(last, now) >= window);
        old || remembered > self.ledger_limit
    }
}

/// A clock that was set back makes nothing old.
fn age(time: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(time).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(60 * 60);

    fn hour(number: u32) -> SystemTime {
        SystemTime::UNIX_EPOCH + HOUR * number
    }

    #[test]
    fn a_segment_is_sealed_for_its_oldest_and_the_rest_is_done_for_its_newest() {
        let policy = RetentionPolicy {
            segment_age: HOUR * 2,
            compress_after: Some(HOUR * 2),
            retention: Some(HOUR * 2),
            ..RetentionPolicy::default()
        };
        let now = SystemTime::UNIX_EPOCH + HOUR * 3;
        for (times, first_is_old, last_is_old) in [
            (Some((hour(1), hour(1))), true, true),
            (Some((hour(1), hour(2))), true, false),
            (Some((hour(2), hour(9))), false, false),
        ] {
            assert_eq!(policy.seals(times, now), first_is_old, "{times:?}");
            assert_eq!(
                policy.compresses(SegmentState::Sealed, times, now),
                last_is_old,
                "{times:?}"
            );
            assert_eq!(policy.removes(times, now).count(), usize::from(last_is_old), "{times:?}");
        }
        assert!(!policy.seals(None, now) && policy.removes(None, now).next().is_none());
        assert!(policy.compresses(SegmentState::Sealed, None, now));
        assert!(!policy.compresses(SegmentState::Compressed, Some((hour(1), hour(1))), now));
    }

    #[test]
    fn removed_deliveries_are_forgotten_by_age_or_number() {
        let policy = RetentionPolicy {
            ledger_retention: Some(HOUR * 2),
            ledger_limit: 10,
            ..RetentionPolicy::default()
        };
        for (last, remembered, forgets) in
            [(1, 10, false), (0, 10, true), (1, 11, true), (9, 10, false)]
        {
            assert_eq!(
                policy.forgets(hour(last), remembered, hour(2)),
                forgets,
                "{last} {remembered}"
            );
        }
        assert!(!RetentionPolicy { ledger_retention: None, ..policy }.forgets(
            hour(0),
            10,
            hour(9999)
        ));
    }

    #[test]
    fn without_a_choice_nothing_is_removed() {
        let times = Some((hour(0), hour(0)));
        let removed =
            |policy: RetentionPolicy| policy.removes(times, SystemTime::now()).collect::<Vec<_>>();
        assert_eq!(removed(RetentionPolicy::default()), []);
        let policy = RetentionPolicy { retention: Some(HOUR), ..RetentionPolicy::default() };
        assert_eq!(removed(policy), [StateFilter::Finished], "dead ones are kept");
        let policy = RetentionPolicy { dead_retention: Some(HOUR), ..RetentionPolicy::default() };
        let dead = [StateKind::Dead, StateKind::Undecodable].map(StateFilter::Only);
        assert_eq!(removed(policy), dead);
        assert_eq!(RetentionPolicy::default().max_bytes, None);
    }
}
