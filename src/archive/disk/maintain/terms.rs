use std::time::{Duration, SystemTime};

use crate::{
    archive::{StateFilter, disk::format::name::Form},
    delivery::StateKind,
};

/// The retention policy, and the thresholds for sealing and compressing.
#[derive(Clone, Debug)]
pub(in crate::archive::disk) struct Terms {
    pub(in crate::archive::disk) segment_age: Duration,
    pub(in crate::archive::disk) compress_after: Option<Duration>,
    pub(in crate::archive::disk) keep_for: Option<Duration>,
    /// The same for dead and undecodable deliveries.
    pub(in crate::archive::disk) keep_dead_for: Option<Duration>,
    pub(in crate::archive::disk) keep_bytes: Option<u64>,
    /// How long after its receipt a removed delivery is remembered, and the maximum number of such deliveries.
    pub(in crate::archive::disk) remember_for: Option<Duration>,
    pub(in crate::archive::disk) remember: u64,
    /// The maintenance interval; with `None`, maintenance runs only on request.
    pub(in crate::archive::disk) every: Option<Duration>,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            segment_age: Duration::from_secs(24 * 60 * 60),
            compress_after: Some(Duration::from_secs(7 * 24 * 60 * 60)),
            keep_for: None,
            keep_dead_for: None,
            keep_bytes: None,
            remember_for: Some(Duration::from_secs(30 * 24 * 60 * 60)),
            remember: 2_000_000,
            every: Some(Duration::from_secs(60)),
        }
    }
}

/// When the first and the last delivery of a segment were received; `None` if it contains none, or none any more.
pub(in crate::archive::disk) type Times = Option<(SystemTime, SystemTime)>;

impl Terms {
    /// Returns whether a segment must be sealed although it is not full.
    pub(in crate::archive::disk) fn seals(&self, times: Times, now: SystemTime) -> bool {
        times.is_some_and(|(first, _)| age(first, now) >= self.segment_age)
    }

    /// Returns whether a sealed segment must be compressed.
    pub(in crate::archive::disk) fn compresses(
        &self,
        form: Form,
        times: Times,
        now: SystemTime,
    ) -> bool {
        let due = |after| times.is_none_or(|(_, last)| age(last, now) >= after);
        form == Form::Sealed && self.compress_after.is_some_and(due)
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
        let finished = due(self.keep_for).then_some(StateFilter::Finished);
        let dead = due(self.keep_dead_for).then_some(dead);
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
        let old = self.remember_for.is_some_and(|window| age(last, now) >= window);
        old || remembered > self.remember
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
        let terms = Terms {
            segment_age: HOUR * 2,
            compress_after: Some(HOUR * 2),
            keep_for: Some(HOUR * 2),
            ..Terms::default()
        };
        let now = SystemTime::UNIX_EPOCH + HOUR * 3;
        for (times, first_is_old, last_is_old) in [
            (Some((hour(1), hour(1))), true, true),
            (Some((hour(1), hour(2))), true, false),
            (Some((hour(2), hour(9))), false, false),
        ] {
            assert_eq!(terms.seals(times, now), first_is_old, "{times:?}");
            assert_eq!(terms.compresses(Form::Sealed, times, now), last_is_old, "{times:?}");
            assert_eq!(terms.removes(times, now).count(), usize::from(last_is_old), "{times:?}");
        }
        assert!(!terms.seals(None, now) && terms.removes(None, now).next().is_none());
        assert!(terms.compresses(Form::Sealed, None, now));
        assert!(!terms.compresses(Form::Packed, Some((hour(1), hour(1))), now));
    }

    #[test]
    fn what_is_removed_is_forgotten_for_its_age_or_number() {
        let terms = Terms { remember_for: Some(HOUR * 2), remember: 10, ..Terms::default() };
        for (last, remembered, forgets) in
            [(1, 10, false), (0, 10, true), (1, 11, true), (9, 10, false)]
        {
            assert_eq!(
                terms.forgets(hour(last), remembered, hour(2)),
                forgets,
                "{last} {remembered}"
            );
        }
        assert!(!Terms { remember_for: None, ..terms }.forgets(hour(0), 10, hour(9999)));
    }

    #[test]
    fn without_a_choice_nothing_is_removed() {
        let times = Some((hour(0), hour(0)));
        let removed = |terms: Terms| terms.removes(times, SystemTime::now()).collect::<Vec<_>>();
        assert_eq!(removed(Terms::default()), []);
        let terms = Terms { keep_for: Some(HOUR), ..Terms::default() };
        assert_eq!(removed(terms), [StateFilter::Finished], "dead ones are kept");
        let terms = Terms { keep_dead_for: Some(HOUR), ..Terms::default() };
        let dead = [StateKind::Dead, StateKind::Undecodable].map(StateFilter::Only);
        assert_eq!(removed(terms), dead);
        assert_eq!(Terms::default().keep_bytes, None);
    }
}
