//! Recognizes a server in whose place a standby was promoted. It may hang, or still accept writes, which are lost.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{error::Failure, operations::value, session::Session};

/// The first 8 digits of the name of a file of the log are the timeline. `pg_control_checkpoint` has it only after the
/// first checkpoint.
const READ: &str = "SELECT system_identifier, \
    ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int FROM pg_control_system()";

/// The timeline on which a server writes: a number that grows with each promotion of a standby.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timeline {
    /// Equal for a primary and its standbys.
    system: i64,
    number: i32,
}

impl Timeline {
    /// Reads the timeline of a server. None if the server does not report it: a server that is not PostgreSQL itself may
    /// lack these functions.
    pub(super) async fn read(session: &Session) -> Result<Option<Self>, Failure> {
        let rows = match session.query(READ, &[]).await {
            Err(Failure::Rejected { .. }) => return Ok(None),
            rows => rows?,
        };
        let timeline = |row| Ok(Self { system: value(row, 0)?, number: value(row, 1)? });
        rows.first().map(timeline).transpose()
    }

    fn is_before(self, other: Self) -> bool {
        self.system == other.system && self.number < other.number
    }
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number.fmt(f)
    }
}

/// The latest timeline that this process has seen. A server on an earlier one is an old primary.
#[derive(Debug, Default)]
pub(super) struct LatestTimeline(Mutex<Option<Timeline>>);

impl LatestTimeline {
    /// Records the timeline of a server.
    ///
    /// # Errors
    ///
    /// If the server is an old primary.
    pub(super) fn record(&self, timeline: Option<Timeline>) -> Result<(), Failure> {
        let mut latest = self.get();
        match (timeline, *latest) {
            (Some(found), Some(latest)) if found.is_before(latest) => {
                Err(Failure::NoConnection(format!(
                    "the server is on timeline {found}, and another one was promoted to timeline {latest}; stop the old \
                     one, or restart this process if the database was restored from a backup"
                )))
            }
            (Some(_), _) => {
                *latest = timeline;
                Ok(())
            }
            (None, _) => Ok(()),
        }
    }

    /// Returns true if a server on this timeline is an old primary.
    pub(super) fn is_after(&self, timeline: Option<Timeline>) -> bool {
        let latest = *self.get();
        timeline.zip(latest).is_some_and(|(timeline, latest)| timeline.is_before(latest))
    }

    fn get(&self) -> MutexGuard<'_, Option<Timeline>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn timeline(system: i64, number: i32) -> Timeline {
        Timeline { system, number }
    }

    #[test]
    fn server_on_an_earlier_timeline_of_the_same_system_is_an_old_primary() {
        let latest = LatestTimeline::default();
        assert!(!latest.is_after(Some(timeline(7, 1))), "none is known");
        latest.record(Some(timeline(7, 2))).unwrap();
        for (found, is_old) in [
            (Some(timeline(7, 1)), true),
            (Some(timeline(7, 2)), false),
            (Some(timeline(7, 3)), false),
            (Some(timeline(8, 1)), false),
            (None, false),
        ] {
            assert_eq!(latest.is_after(found), is_old, "{found:?}");
        }
        let refused = latest.record(Some(timeline(7, 1))).unwrap_err().to_string();
        assert!(refused.contains("on timeline 1, and another one was promoted to timeline 2"));
        assert!(latest.is_after(Some(timeline(7, 1))), "the refused one is not the latest");
        latest.record(None).unwrap();
        latest.record(Some(timeline(8, 1))).unwrap();
        assert!(!latest.is_after(Some(timeline(7, 1))), "the database was moved to another system");
    }
}
