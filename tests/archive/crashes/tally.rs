use super::promises::{Answer, Asked, What};

/// The number of cases of each kind, so that a test can require a minimum.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// The number of crashes.
    pub(crate) crash_points: usize,
    /// The number of disks that were opened after a crash.
    pub(crate) disks: usize,
    /// The number of damaged ranges between records.
    pub(crate) damages: usize,
    /// The number of recognized repeats of removed deliveries.
    pub(crate) repeats_of_removed: usize,
    /// The number of removals that removed at least one delivery.
    removals: usize,
    upkeeps: usize,
    crashes_in_removals: usize,
    crashes_in_upkeeps: usize,
}

impl Tally {
    /// Counts the requests to an archive, and those interrupted by a crash after `calls` disk calls.
    pub(crate) fn note(&mut self, asked: &[Asked], calls: usize) {
        self.crash_points += 1;
        for one in asked {
            let interrupted = usize::from(one.was_under_way(calls));
            match (&one.what, &one.answer) {
                (What::Upkeep, _) => {
                    self.upkeeps += 1;
                    self.crashes_in_upkeeps += interrupted;
                }
                (_, Answer::Removed(removed)) if *removed > 0 => {
                    self.removals += 1;
                    self.crashes_in_removals += interrupted;
                }
                _ => {}
            }
        }
    }

    pub(crate) fn assert_that_all_kinds_were_tried(&self) {
        let Self { removals, upkeeps, crashes_in_removals, crashes_in_upkeeps, .. } = *self;
        let kinds = [removals, upkeeps, crashes_in_removals, crashes_in_upkeeps];
        assert!(!kinds.contains(&0) && self.repeats_of_removed > 0, "{self:?}");
    }
}
