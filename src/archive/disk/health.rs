//! The health of the archive, as reported by its writer, its maintenance and its readers. A health check does not
//! access the disk, which may hang. Only after a failed write, a small file is written in the background to check
//! whether writing works again.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use super::{background, format::name::SegmentName, fs::probe::try_write, handle::Handle};
use crate::archive::{ArchiveHealth, Maintenance, WriteState};

/// A write that takes longer than this is reported as stalled.
const STALLED_AFTER: Duration = Duration::from_secs(10);

/// The pause between two attempts to write after a failure.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// The maximum number of damaged places that are distinguished, to limit memory use.
const MAX_DAMAGES: usize = 10_000;

/// The conditions recorded by the parts of an open archive.
#[derive(Debug, Default)]
pub(super) struct Condition(Mutex<Noted>);

#[derive(Debug, Default)]
struct Noted {
    /// When the current batch write started.
    writing_since: Option<Instant>,
    last_write: LastWrite,
    /// When the last probe was started.
    probed_at: Option<Instant>,
    is_probing: bool,
    damages: BTreeSet<(SegmentName, u64)>,
    missing: Option<u64>,
    maintenance: Option<Maintenance>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum LastWrite {
    #[default]
    Succeeded,
    Failed,
    /// The lock file was deleted or replaced: nothing is written any more.
    LockLost,
}

impl Condition {
    /// Records that the writer started a batch at this time.
    pub(super) fn writing_since(&self) -> Option<Instant> {
        self.noted().writing_since
    }

    pub(super) fn set_writing_since(&self, since: Option<Instant>) {
        self.noted().writing_since = since;
    }

    /// Records whether a batch was written. With `lost_lock`, no later batch will be.
    pub(super) fn write_ended(&self, succeeded: bool, lost_lock: bool) {
        self.noted().last_write = match (succeeded, lost_lock) {
            (true, _) => LastWrite::Succeeded,
            (false, true) => LastWrite::LockLost,
            (false, false) => LastWrite::Failed,
        };
    }

    /// Records that the data at this offset is damaged.
    pub(super) fn note_damage(&self, segment: SegmentName, offset: u64) {
        let damages = &mut self.noted().damages;
        if damages.len() < MAX_DAMAGES {
            damages.insert((segment, offset));
        }
    }

    /// Records that this segment is damaged. Not counted if damage in it is already known.
    pub(super) fn note_damaged_segment(&self, segment: SegmentName) {
        let is_known = self.noted().damages.range((segment, 0)..=(segment, u64::MAX)).count() > 0;
        if !is_known {
            self.note_damage(segment, 0);
        }
    }

    /// Records the number of missing segments.
    pub(super) fn note_missing(&self, segments: u64) {
        self.noted().missing = Some(segments);
    }

    pub(super) fn note_maintenance(&self, failed: bool) {
        self.noted().maintenance = Some(Maintenance::new(SystemTime::now(), failed));
    }

    /// Returns a guard for a write probe, if a probe is useful now.
    fn start_probe(self: &Arc<Self>, now: Instant) -> Option<Probing> {
        let mut noted = self.noted();
        if !noted.probe_is_due(now) {
            return None;
        }
        noted.is_probing = true;
        noted.probed_at = Some(now);
        Some(Probing(Arc::clone(self)))
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Noted {
    fn write_state(&self, now: Instant) -> WriteState {
        let writing_for = self.writing_since.map(|since| now.saturating_duration_since(since));
        match self.last_write {
            LastWrite::LockLost => WriteState::Stopped,
            _ if writing_for >= Some(STALLED_AFTER) => WriteState::Stalled,
            LastWrite::Failed => WriteState::Failing,
            LastWrite::Succeeded => WriteState::Working,
        }
    }

    fn probe_is_due(&self, now: Instant) -> bool {
        let since_last = self.probed_at.map(|at| now.saturating_duration_since(at));
        self.last_write == LastWrite::Failed
            && !self.is_probing
            && since_last.is_none_or(|time| time >= PROBE_INTERVAL)
    }
}

/// A running probe. At most one runs at a time, because on a disk that hangs it never ends.
struct Probing(Arc<Condition>);

impl Probing {
    /// Clears an earlier write failure.
    fn succeeded(&self) {
        let mut noted = self.0.noted();
        if noted.last_write == LastWrite::Failed {
            noted.last_write = LastWrite::Succeeded;
        }
    }
}

impl Drop for Probing {
    fn drop(&mut self) {
        self.0.noted().is_probing = false;
    }
}

impl Handle {
    /// Returns the current health of the archive. Never blocks.
    ///
    /// After a failed write, a load balancer may stop sending requests, and then no write would ever succeed again.
    /// Therefore a small file is written in the background.
    pub(super) fn health(&self) -> ArchiveHealth {
        let now = Instant::now();
        let is_stopped = self.compactor.is_none() || self.queue.is_closed();
        // The directory of a closed archive may belong to another archive.
        let probing = (!is_stopped).then(|| self.condition.start_probe(now)).flatten();
        if let Some(probing) = probing {
            let (fs, dir) = (Arc::clone(&self.reader.fs), self.path.clone());
            background::start(move || {
                if try_write(&*fs, &dir).is_ok() {
                    probing.succeeded();
                }
            });
        }
        let noted = self.condition.noted();
        ArchiveHealth {
            writes: Some(if is_stopped { WriteState::Stopped } else { noted.write_state(now) }),
            has_space: self.space.is_sufficient(),
            damaged: Some(noted.damages.len() as u64),
            missing: noted.missing,
            maintenance: noted.maintenance,
            database: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::disk::tests::a_place;

    fn state(condition: &Condition, after: Duration) -> WriteState {
        condition.noted().write_state(Instant::now() + after)
    }

    #[test]
    fn write_state_follows_the_last_write() {
        let condition = Condition::default();
        assert_eq!(state(&condition, Duration::ZERO), WriteState::Working);
        condition.set_writing_since(Some(Instant::now()));
        assert_eq!(state(&condition, Duration::ZERO), WriteState::Working, "it is being written");
        assert_eq!(state(&condition, STALLED_AFTER), WriteState::Stalled);
        condition.set_writing_since(None);
        for (succeeded, lost_lock, expected) in [
            (false, false, WriteState::Failing),
            (false, true, WriteState::Stopped),
            (true, false, WriteState::Working),
        ] {
            condition.write_ended(succeeded, lost_lock);
            assert_eq!(state(&condition, STALLED_AFTER), expected);
        }
    }

    #[test]
    fn probe_runs_once_a_second_after_a_failure_and_never_twice_at_a_time() {
        let (condition, now) = (Arc::new(Condition::default()), Instant::now());
        assert!(condition.start_probe(now).is_none(), "nothing failed");
        condition.write_ended(false, false);
        let probing = condition.start_probe(now).unwrap();
        assert!(condition.start_probe(now + PROBE_INTERVAL).is_none(), "one is running");
        drop(probing);
        assert!(condition.start_probe(now).is_none(), "too early");
        assert_eq!(state(&condition, Duration::ZERO), WriteState::Failing);
        condition.start_probe(now + PROBE_INTERVAL).unwrap().succeeded();
        assert_eq!(state(&condition, Duration::ZERO), WriteState::Working);
        condition.write_ended(false, true);
        assert!(condition.start_probe(now + 2 * PROBE_INTERVAL).is_none(), "it would not help");
    }

    #[test]
    fn damages_are_counted_once_and_not_without_limit() {
        let (condition, segment) = (Condition::default(), a_place().segment);
        let damages = || condition.noted().damages.len();
        condition.note_damaged_segment(segment);
        condition.note_damaged_segment(segment);
        condition.note_damage(segment, 7);
        condition.note_damage(segment, 7);
        assert_eq!(damages(), 2);
        (0..).take(MAX_DAMAGES + 1).for_each(|offset| condition.note_damage(segment, offset));
        assert_eq!(damages(), MAX_DAMAGES);
    }
}
