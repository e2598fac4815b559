//! Partitions, retention, and counts. Every node runs it; each step locks what it needs, or is skipped.

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, SystemTime},
};

use tokio_postgres::types::{FromSql, Type};

use super::{
    archive::Inner,
    error::Failure,
    operations::{Operations, only},
    session::Params,
};
use crate::{archive::Maintenance, supervise::supervise};

/// How many days of partitions are created ahead.
const DAYS_AHEAD: i32 = 7;
/// How long the removal of a partition waits for readers. While it waits, appends wait behind it.
const LOCK_WAIT_MS: i32 = 500;
/// The most rows of a statement.
const ROWS: i32 = 500;

/// When bodies and ledger entries are removed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Retention {
    /// Bodies of final deliveries.
    pub(super) bodies: Option<Duration>,
    /// Ledger entries of final deliveries without a body.
    pub(super) ledger: Option<Duration>,
}

/// The last round.
#[derive(Debug, Default)]
pub(super) struct LastRound(Mutex<Option<Maintenance>>);

impl LastRound {
    pub(super) fn get(&self) -> Option<Maintenance> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, failed: bool) {
        let round = Maintenance::new(SystemTime::now(), failed);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(round);
    }
}

/// Runs maintenance periodically, until the archive is dropped.
pub(super) fn start(inner: &Arc<Inner>, every: Duration) {
    let weak = Arc::downgrade(inner);
    tokio::spawn(async move {
        supervise("postgres maintenance", || rounds(weak.clone(), every)).await;
    });
}

async fn rounds(inner: Weak<Inner>, every: Duration) {
    loop {
        // With a random part, so that nodes that started together do not run at the same time.
        tokio::time::sleep(every.mul_f64(0.9 + fastrand::f64() / 5.0)).await;
        let Some(inner) = inner.upgrade() else { return };
        if inner.is_closed() {
            return;
        }
        let result = inner.operations.maintain(inner.retention).await;
        let result = result.and(inner.operations.check_standby(inner.requires_standby).await);
        if let Err(failure) = &result {
            let error = failure as &dyn std::error::Error;
            tracing::warn!(error, "maintenance of the archive failed; the next round tries again");
        }
        inner.last_round.set(result.is_err());
    }
}

impl Operations {
    /// Runs one round. A step that fails does not stop the others.
    pub(super) async fn maintain(&self, retention: Retention) -> Result<(), Failure> {
        let created = self.create_partitions().await;
        let dropped = match retention.bodies {
            Some(age) => self.drop_partitions(age).await.and(self.delete_history(age).await),
            None => Ok(()),
        };
        let deleted = match retention.ledger {
            Some(age) => self.delete_ledger(age).await,
            None => Ok(()),
        };
        let tidied = self.call::<bool>("tidy()", &[]).await.map(drop);
        created.and(dropped).and(deleted).and(tidied)
    }

    /// Fails if a synchronous standby is required, and the server no longer has one configured.
    pub(super) async fn check_standby(&self, is_required: bool) -> Result<(), Failure> {
        if !is_required {
            return Ok(());
        }
        let sql = "SELECT current_setting('synchronous_standby_names')";
        let rows = self.pool.query_again(sql, &[]).await?;
        let standbys: &str = only(&rows)?;
        if standbys.trim().is_empty() { Err(Failure::NoStandby) } else { Ok(()) }
    }

    pub(super) async fn create_partitions(&self) -> Result<(), Failure> {
        let params = [(&DAYS_AHEAD as _, Type::INT4)];
        self.call::<i32>("create_partitions($1)", &params).await.map(drop)
    }

    async fn drop_partitions(&self, age: Duration) -> Result<(), Failure> {
        let before = self.day_before(age).await?;
        let mut last = None;
        loop {
            let oldest = "oldest_partition($1::text::date)::text";
            let oldest: Option<String> = self.call(oldest, &[(&before as _, Type::TEXT)]).await?;
            // The partition is still there if some delivery in it is locked. The next round continues.
            let Some(day) = oldest.filter(|day| last.as_ref() != Some(day)) else { return Ok(()) };
            let params = [(&day as _, Type::TEXT), (&ROWS as _, Type::INT4)];
            while self.call::<i32>("move_bodies($1::text::date, $2)", &params).await? > 0 {}
            let params = [(&day as _, Type::TEXT), (&LOCK_WAIT_MS as _, Type::INT4)];
            let dropped: bool = self.call("drop_partition($1::text::date, $2)", &params).await?;
            if dropped {
                tracing::info!(day, "removed the bodies of a day");
            }
            last = Some(day);
        }
    }

    async fn delete_history(&self, age: Duration) -> Result<(), Failure> {
        let before = self.day_before(age).await?;
        let params = [(&before as _, Type::TEXT), (&ROWS as _, Type::INT4)];
        while self.call::<i32>("delete_history($1::text::date, $2)", &params).await? == ROWS {}
        Ok(())
    }

    async fn delete_ledger(&self, age: Duration) -> Result<(), Failure> {
        let before = self.day_before(age).await?;
        let mut after = Some(0_i64);
        while let Some(last) = after {
            let params =
                [(&before as _, Type::TEXT), (&last as _, Type::INT8), (&ROWS as _, Type::INT4)];
            after = self.call("delete_ledger($1::text::date, $2, $3)", &params).await?;
        }
        Ok(())
    }

    /// The first day that is not older than `age`.
    async fn day_before(&self, age: Duration) -> Result<String, Failure> {
        let schema = &self.sql.schema;
        let days = i32::try_from(age.as_secs() / (24 * 60 * 60)).unwrap_or(i32::MAX / 2);
        let sql = format!("SELECT ({schema}.today() - $1)::text");
        let rows = self.pool.query_again(&sql, &[(&days, Type::INT4)]).await?;
        only::<&str>(&rows).map(str::to_owned)
    }

    /// Calls a function of the schema, whose effect is the same if it runs twice.
    async fn call<T>(&self, call: &str, params: Params<'_>) -> Result<T, Failure>
    where
        T: for<'r> FromSql<'r>,
    {
        let sql = format!("SELECT {}.{call}", self.sql.schema);
        let rows = self.pool.query_again(&sql, params).await?;
        only(&rows)
    }
}
