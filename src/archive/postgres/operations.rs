//! The operations of the contract that are sent one by one.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::runtime::Handle;
use tokio_postgres::{
    Row,
    types::{FromSql, Type},
};
use uuid::Uuid;

use super::{claim::ClaimStart, error::Failure, pool::Pool, session::Params, settle::result};
use crate::{
    archive::{
        Acquire, Acquired, ArchiveError, Begun, Capacity, Counts, Lease, LeaseToken, Release,
    },
    delivery::{DeliveryId, InferenceDigest, ModelName, Outcome, State, StateKind, from_nanos},
};

/// The statements, with the name of the schema.
#[derive(Debug)]
pub(super) struct Sql {
    pub(super) schema: String,
    pub(super) append: String,
    pub(super) append_one: String,
    pub(super) settle: String,
    pub(super) claim: String,
    acquire: String,
    renew: String,
    release: String,
    begin: String,
    pub(super) retry: String,
    pub(super) remove: String,
    trim: String,
    set_paused: String,
    paused: String,
    counts: String,
    pub(super) create_partitions: String,
}

impl Sql {
    /// `schema` is quoted.
    pub(super) fn new(schema: String) -> Self {
        let call = |name: &str, parameters: usize| {
            let places: Vec<_> = (1..=parameters).map(|place| format!("${place}")).collect();
            format!("SELECT * FROM {schema}.{name}({})", places.join(", "))
        };
        Self {
            append: call("append", 10),
            append_one: call("append_one", 9),
            settle: call("settle", 9),
            claim: call("claim", 7),
            acquire: call("acquire", 4),
            renew: call("renew", 3),
            release: call("release", 4),
            begin: call("begin_inference", 3),
            retry: call("retry", 3),
            remove: call("remove", 3),
            trim: call("trim_unsettled", 4),
            set_paused: call("set_paused", 2),
            paused: format!("SELECT model FROM {schema}.paused ORDER BY model COLLATE \"C\""),
            create_partitions: call("create_partitions", 1),
            counts: format!(
                "SELECT model, kind, deliveries, oldest_ns FROM {schema}.current_counts"
            ),
            schema,
        }
    }
}

/// Runs operations over a few connections.
#[derive(Clone, Debug)]
pub(super) struct Operations {
    pub(super) sql: Arc<Sql>,
    pub(super) pool: Arc<Pool>,
    /// Renewals do not wait for other operations.
    pub(super) renewals: Arc<Pool>,
    /// From where the next claim searches.
    pub(super) claim_start: Arc<Mutex<ClaimStart>>,
    pub(super) runtime: Handle,
}

impl Operations {
    pub(super) async fn acquire(&self, acquire: Acquire) -> Result<Acquired, ArchiveError> {
        let (id, token) = (acquire.id, LeaseToken::new());
        let rows = self
            .pool
            .query(
                &self.sql.acquire,
                &[
                    (&uuid(id), Type::UUID),
                    (&acquire.revive, Type::BOOL),
                    (&token_uuid(token), Type::UUID),
                    (&micros(acquire.lease_length), Type::INT8),
                ],
            )
            .await?;
        let row = rows.first().ok_or(ArchiveError::Unknown { id })?;
        let attempt: Option<i32> = value(row, 1)?;
        let leased = match attempt {
            Some(attempt) => Some(lease(id, token, attempt, value(row, 2)?)),
            None => None,
        };
        Ok(Acquired::new(state(value(row, 0)?)?, leased))
    }

    pub(super) async fn renew(
        &self,
        leases: Vec<Lease>,
        length: Duration,
    ) -> Result<Vec<DeliveryId>, ArchiveError> {
        let ids: Vec<Uuid> = leases.iter().map(|lease| uuid(lease.id())).collect();
        let tokens: Vec<Uuid> = leases.iter().map(|lease| token_uuid(lease.token())).collect();
        let params = [
            (&ids as _, Type::UUID_ARRAY),
            (&tokens as _, Type::UUID_ARRAY),
            (&micros(length) as _, Type::INT8),
        ];
        let rows = self.renewals.query_again(&self.sql.renew, &params).await?;
        let lost = rows.iter().map(|row| value(row, 0).map(bytes_of));
        Ok(lost.collect::<Result<_, Failure>>()?)
    }

    pub(super) async fn release(&self, lease: Lease, release: Release) -> Result<(), ArchiveError> {
        let (wait, inference) = match release {
            Release::After(wait) => (wait, None),
            Release::WhenFree(inference) => (Duration::ZERO, Some(inference.as_bytes().to_vec())),
        };
        let params = [
            (&uuid(lease.id()) as _, Type::UUID),
            (&token_uuid(lease.token()) as _, Type::UUID),
            (&micros(wait) as _, Type::INT8),
            (&inference as _, Type::BYTEA),
        ];
        let rows = self.pool.query(&self.sql.release, &params).await?;
        result(only(&rows)?, lease.id())
    }

    pub(super) async fn begin(
        &self,
        lease: Lease,
        inference: InferenceDigest,
    ) -> Result<Begun, ArchiveError> {
        let params = [
            (&uuid(lease.id()) as _, Type::UUID),
            (&token_uuid(lease.token()) as _, Type::UUID),
            (&inference.to_bytes().to_vec() as _, Type::BYTEA),
        ];
        // To enter a flight again under the same lease has no effect.
        let rows = self.pool.query_again(&self.sql.begin, &params).await?;
        let row = rows.first().ok_or_else(|| Failure::Answer("no row".to_owned()))?;
        let other = value::<Option<Uuid>>(row, 1)?.map(bytes_of);
        match (value(row, 0)?, other) {
            ("busy", _) => Ok(Begun::Busy),
            ("started", earlier) => Ok(Begun::Started { earlier }),
            ("processed", Some(of)) => match state(value(row, 2)?)? {
                State::Outcome(Outcome::Processed { status, .. }) => {
                    Ok(Begun::Processed { of, status })
                }
                other => Err(Failure::Answer(format!("state {other}")).into()),
            },
            _ => Err(ArchiveError::LeaseLost { id: lease.id() }),
        }
    }

    pub(super) async fn trim(
        &self,
        limit: Capacity,
        target: Capacity,
    ) -> Result<u64, ArchiveError> {
        let number = |limit| i64::try_from(limit).unwrap_or(i64::MAX);
        let params = [
            (&number(limit.deliveries) as _, Type::INT8),
            (&number(limit.bytes) as _, Type::INT8),
            (&number(target.deliveries) as _, Type::INT8),
            (&number(target.bytes) as _, Type::INT8),
        ];
        let rows = self.pool.query_again(&self.sql.trim, &params).await?;
        Ok(only::<i64>(&rows)?.max(0).unsigned_abs())
    }

    pub(super) async fn set_paused(
        &self,
        model: &ModelName,
        paused: bool,
    ) -> Result<(), ArchiveError> {
        let params: Params<'_> = &[(&model.as_str(), Type::TEXT), (&paused, Type::BOOL)];
        self.pool.query_durably(&self.sql.set_paused, params).await?;
        // Deliveries were not searched while the model was paused.
        self.claim_start().reset();
        Ok(())
    }

    pub(super) async fn paused(&self) -> Result<Vec<ModelName>, ArchiveError> {
        let rows = self.pool.query_again(&self.sql.paused, &[]).await?;
        Ok(rows.iter().map(|row| model(row, 0)).collect::<Result<_, _>>()?)
    }

    pub(super) async fn counts(&self) -> Result<Counts, ArchiveError> {
        let rows = self.pool.query_again(&self.sql.counts, &[]).await?;
        let (mut counts, mut oldest) = (Counts::default(), None::<i64>);
        for row in &rows {
            let deliveries: i64 = value(row, 2)?;
            counts.add(&model(row, 0)?, kind(value(row, 1)?)?, deliveries.max(0).unsigned_abs());
            let received: Option<i64> = value(row, 3)?;
            oldest = received.into_iter().chain(oldest).min();
        }
        counts.set_oldest_unsettled(oldest.and_then(from_nanos));
        Ok(counts)
    }

    /// Releases a lease whose caller has gone, so that its delivery does not wait for the end of the lease.
    pub(super) fn release_untaken(&self, lease: impl IntoIterator<Item = Lease>) {
        for lease in lease {
            let operations = self.clone();
            self.runtime.spawn(async move {
                if let Err(error) = operations.release(lease, Release::After(Duration::ZERO)).await
                {
                    let error = &error as &dyn std::error::Error;
                    tracing::debug!(error, "an unused lease was not released");
                }
            });
        }
    }
}

pub(super) fn uuid(id: DeliveryId) -> Uuid {
    Uuid::from_bytes(*id.as_bytes())
}

pub(super) fn token_uuid(token: LeaseToken) -> Uuid {
    Uuid::from_bytes(*token.as_bytes())
}

pub(super) fn bytes_of(id: Uuid) -> DeliveryId {
    DeliveryId::from_bytes(id.into_bytes())
}

pub(super) fn lease(id: DeliveryId, token: LeaseToken, attempt: i32, crashes: i32) -> Lease {
    let number = |number: i32| u32::try_from(number).unwrap_or_default();
    Lease::new(id, token, number(attempt), number(crashes))
}

/// A column of a row.
pub(super) fn value<'r, T: FromSql<'r>>(row: &'r Row, column: usize) -> Result<T, Failure> {
    row.try_get(column).map_err(|error| Failure::Answer(error.to_string()))
}

/// The only value of the only row.
pub(super) fn only<'r, T: FromSql<'r>>(rows: &'r [Row]) -> Result<T, Failure> {
    value(rows.first().ok_or_else(|| Failure::Answer("no row".to_owned()))?, 0)
}

pub(super) fn model(row: &Row, column: usize) -> Result<ModelName, Failure> {
    let name: &str = value(row, column)?;
    name.parse().map_err(|_| Failure::Answer(format!("model {name:?}")))
}

pub(super) fn state(text: &str) -> Result<State, Failure> {
    text.parse().map_err(|_| Failure::Answer(format!("state {text:?}")))
}

/// The number of a kind in the database: its place in [`StateKind::ALL`].
pub(super) fn kind_number(kind: StateKind) -> i16 {
    let place = StateKind::ALL.iter().position(|other| *other == kind);
    place.and_then(|place| i16::try_from(place).ok()).unwrap_or_default()
}

pub(super) fn kind(number: i16) -> Result<StateKind, Failure> {
    let kind = usize::try_from(number).ok().and_then(|place| StateKind::ALL.get(place));
    kind.copied().ok_or_else(|| Failure::Answer(format!("kind {number}")))
}

/// Microseconds, at most 30 years: handlers may request any delay.
pub(super) fn micros(duration: Duration) -> i64 {
    const MOST: i64 = 30 * 365 * 24 * 60 * 60 * 1_000_000;
    i64::try_from(duration.as_micros()).unwrap_or(MOST).min(MOST)
}

/// A limit, at most 10,000: more is not claimed at a time.
pub(super) fn count(number: usize) -> i32 {
    i32::try_from(number.min(10_000)).unwrap_or(10_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_kinds_are_those_in_the_sql_text() {
        let kinds = StateKind::ALL.map(|kind| (kind_number(kind), kind.as_str()));
        let expected =
            ["pending", "leased", "processed", "failed", "dead", "undecodable", "repeat"];
        assert!(kinds.iter().map(|(_, name)| *name).eq(expected), "{kinds:?}");
        assert!((0..7).all(|number| kind(number).is_ok_and(|kind| kind_number(kind) == number)));
        assert!(kind(7).is_err());
    }

    #[test]
    fn poisoned_outcome_in_the_sql_text_is_that_of_the_state_machine() {
        let crashed = State::Leased { attempts: 3, crashes: 2 }.crashed();
        assert!(include_str!("sql/0002/states.sql").contains(&format!("'{crashed}'")));
    }
}
