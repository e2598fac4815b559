//! Whether the database answers, fits this version of the crate, and has the required standby.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};
use tokio_postgres::error::SqlState;

use super::{
    error::Failure,
    operations::{Operations, value},
    schema::SchemaStatus,
};
use crate::archive::DatabaseHealth;

/// How often the database is checked at most. Without health probes or metrics, it is not checked.
const INTERVAL: Duration = Duration::from_secs(1);

/// How long a report waits for a running check, before it has the result of the last one.
const WAIT: Duration = Duration::from_millis(200);

/// A check that runs for longer counts as failed. It goes on: a statement that was sent is not cancelled.
const UNANSWERED: Duration = Duration::from_secs(2);

/// Checks the database, at most one at a time.
#[derive(Debug)]
pub(super) struct Checks {
    requires_standby: bool,
    state: Mutex<CheckState>,
    ended: Notify,
}

#[derive(Clone, Copy, Debug, Default)]
struct CheckState {
    last: Option<DatabaseHealth>,
    started: Option<Instant>,
    is_running: bool,
}

impl CheckState {
    /// Returns true if a check should start now, which then counts as started.
    fn start(&mut self, now: Instant) -> bool {
        let is_due = self.started.is_none_or(|started| now - started >= INTERVAL);
        if self.is_running || !is_due {
            return false;
        }
        (self.is_running, self.started) = (true, Some(now));
        true
    }

    /// The result of the last check; unreachable if the running one takes too long.
    fn result(self, now: Instant) -> Option<DatabaseHealth> {
        let is_unanswered = |started| self.is_running && now - started > UNANSWERED;
        if self.started.is_some_and(is_unanswered) {
            let unreachable = self.last.map(|last| DatabaseHealth { reachable: false, ..last });
            return unreachable.or(Some(DatabaseHealth::new(false)));
        }
        self.last
    }
}

impl Checks {
    pub(super) fn new(requires_standby: bool) -> Self {
        Self { requires_standby, state: Mutex::default(), ended: Notify::new() }
    }

    /// The condition of the database, about 1 s ago.
    pub(super) async fn database(
        self: &Arc<Self>,
        operations: &Operations,
    ) -> Option<DatabaseHealth> {
        let mut ended = std::pin::pin!(self.ended.notified());
        ended.as_mut().enable();
        if self.state().start(Instant::now()) {
            let (checks, running) = (Arc::clone(self), operations.clone());
            operations.runtime.spawn(async move { checks.check(&running).await });
        }
        if self.state().is_running {
            drop(timeout(WAIT, ended).await);
        }
        let state = *self.state();
        state.result(Instant::now())
    }

    async fn check(&self, operations: &Operations) {
        let running = Running(self);
        let result = operations.check(self.requires_standby).await;
        let health = result.unwrap_or_else(|failure| {
            let error = &failure as &dyn std::error::Error;
            tracing::debug!(error, "the database could not be checked");
            // A statement that was rejected was answered.
            DatabaseHealth::new(matches!(failure, Failure::Rejected { .. }))
        });
        running.0.state().last = Some(health);
    }

    fn state(&self) -> MutexGuard<'_, CheckState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running check. Ends when dropped, also by a panic.
struct Running<'c>(&'c Checks);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.state().is_running = false;
        self.0.ended.notify_waiters();
    }
}

impl Operations {
    /// Reads the version of the schema and whether a synchronous standby is connected.
    async fn check(&self, requires_standby: bool) -> Result<DatabaseHealth, Failure> {
        // A role without `pg_monitor` sees that a standby is connected, and not whether it is synchronous.
        let sql = format!(
            "SELECT version, compatible_with, current_setting('synchronous_standby_names') !~ '^\\s*$' AND EXISTS ( \
               SELECT FROM pg_stat_replication WHERE coalesce(sync_state, 'sync') IN ('sync', 'quorum') \
             ) FROM {}.schema_version ORDER BY version DESC LIMIT 1",
            self.sql.schema
        );
        let rows = match self.pool.query_again(&sql, &[]).await {
            Err(failure) if is_missing(&failure) => Vec::new(),
            result => result?,
        };
        let mut health = DatabaseHealth::new(true);
        let found = match rows.first() {
            None => None,
            Some(row) => {
                health.has_standby =
                    if requires_standby { Some(value::<bool>(row, 2)?) } else { None };
                Some((value(row, 0)?, value(row, 1)?))
            }
        };
        health.schema = Some(SchemaStatus::of(found).state());
        Ok(health)
    }
}

/// Returns true if the schema or its table of versions does not exist.
fn is_missing(failure: &Failure) -> bool {
    failure.is(&SqlState::UNDEFINED_TABLE) || failure.is(&SqlState::INVALID_SCHEMA_NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_starts_once_a_second_and_is_unreachable_when_it_takes_long() {
        let (mut state, now) = (CheckState::default(), Instant::now());
        assert_eq!(state.result(now), None);
        assert!(state.start(now) && !state.start(now + INTERVAL));
        assert_eq!(state.result(now + UNANSWERED), None);
        let late = now + UNANSWERED + INTERVAL;
        assert_eq!(state.result(late), Some(DatabaseHealth::new(false)));
        (state.is_running, state.last) = (false, Some(DatabaseHealth::new(true)));
        assert_eq!(state.result(late), Some(DatabaseHealth::new(true)));
        assert!(!state.start(now + INTERVAL / 2) && state.start(now + INTERVAL));
    }
}
