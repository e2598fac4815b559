//! Single deliveries.

use std::{path::PathBuf, time::SystemTime};

use bytes::Bytes;
use tokio_postgres::{Row, types::Type};
use uuid::Uuid;

use super::{
    error::Failure,
    head,
    operations::{Operations, bytes_of, count, model, state, uuid, value},
};
use crate::{
    archive::{ArchiveError, Archived, LedgerEntry, MAX_HISTORY, StateChange},
    delivery::{Delivery, DeliveryId, Fingerprint, State, from_nanos},
};

/// The size of a [`PostgresArchive`](super::PostgresArchive), with indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DatabaseSize {
    /// The bytes of heads and bodies.
    pub bodies: u64,
    /// The bytes of the ledger and of all other tables.
    pub ledger: u64,
}

impl DatabaseSize {
    /// The bytes of all tables and indexes.
    pub fn all(self) -> u64 {
        self.bodies.saturating_add(self.ledger)
    }
}

/// The columns of an [`Entry`], of the view `deliveries`.
pub(super) const COLUMNS: &str =
    "d.seq, d.id, d.model, d.received_ns, d.length, d.fingerprint, d.digest, d.state, d.day::text";

/// The ledger's part of a delivery.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The number in the order of appends.
    pub(super) seq: i64,
    pub(super) line: LedgerEntry,
    pub(super) length: usize,
    pub(super) day: String,
    fingerprint: Fingerprint,
    digest: [u8; 32],
}

impl Entry {
    pub(super) fn of(row: &Row) -> Result<Self, Failure> {
        let id = bytes_of(value(row, 1)?);
        let received_at = from_nanos(value(row, 3)?).unwrap_or(SystemTime::UNIX_EPOCH);
        let state = state(value(row, 7)?)?;
        Ok(Self {
            seq: value(row, 0)?,
            line: LedgerEntry::new(id, model(row, 2)?, received_at, state),
            length: usize::try_from(value::<i32>(row, 4)?).unwrap_or_default(),
            fingerprint: Fingerprint::from_bytes(digest(row, 5)?),
            digest: digest(row, 6)?,
            day: value(row, 8)?,
        })
    }

    /// The delivery with this head and body.
    fn archived(self, head: &[u8], body: Vec<u8>) -> Result<Archived, ArchiveError> {
        let LedgerEntry { id, model, received_at, state, .. } = self.line;
        let damaged = |reason| ArchiveError::Damaged {
            path: PathBuf::from(format!("delivery {id}")),
            offset: 0,
            reason,
        };
        let (head, proof) = head::read(head).ok_or_else(|| damaged("its head is unreadable"))?;
        let (body, fingerprint) = (Bytes::from(body), self.fingerprint);
        let delivery =
            Delivery::from_archive(id, model, head, body, received_at, proof, fingerprint);
        if delivery.digest().as_bytes() != &self.digest {
            return Err(damaged("its body has another digest"));
        }
        Ok(Archived::new(delivery, state))
    }
}

fn digest(row: &Row, column: usize) -> Result<[u8; 32], Failure> {
    let bytes: &[u8] = value(row, column)?;
    bytes.try_into().map_err(|_| Failure::Answer("a digest of another length".to_owned()))
}

impl Operations {
    pub(super) async fn size(&self) -> Result<DatabaseSize, ArchiveError> {
        // Only `bodies` has partitions.
        let sql = "SELECT coalesce(sum(pg_total_relation_size(oid)) FILTER (WHERE relispartition), 0)::bigint, \
            coalesce(sum(pg_total_relation_size(oid)) FILTER (WHERE NOT relispartition), 0)::bigint \
            FROM pg_class WHERE relnamespace = to_regnamespace($1) AND relkind = 'r'";
        let rows = self.pool.query_again(sql, &[(&self.sql.schema, Type::TEXT)]).await?;
        let row = rows.first().ok_or_else(|| Failure::Answer("no row".to_owned()))?;
        let bytes = |column| value::<i64>(row, column).map(|bytes| bytes.max(0).unsigned_abs());
        Ok(DatabaseSize { bodies: bytes(0)?, ledger: bytes(1)? })
    }

    pub(super) async fn state(&self, id: DeliveryId) -> Result<Option<State>, ArchiveError> {
        let sql = format!("SELECT state FROM {}.deliveries WHERE id = $1", self.sql.schema);
        let rows = self.pool.query_again(&sql, &[(&uuid(id), Type::UUID)]).await?;
        let found = rows.first().map(|row| state(value(row, 0)?)).transpose()?;
        Ok(found)
    }

    pub(super) async fn history(&self, id: DeliveryId) -> Result<Vec<StateChange>, ArchiveError> {
        let sql = format!("SELECT * FROM {}.history_of($1, $2)", self.sql.schema);
        let params = [(&uuid(id) as _, Type::UUID), (&count(MAX_HISTORY) as _, Type::INT4)];
        let rows = self.pool.query_again(&sql, &params).await?;
        let change = |row| {
            let changed_us: i64 = value(row, 0)?;
            let at = from_nanos(changed_us.saturating_mul(1000));
            Ok(StateChange::new(at.unwrap_or(SystemTime::UNIX_EPOCH), state(value(row, 1)?)?))
        };
        Ok(rows.iter().map(change).collect::<Result<_, Failure>>()?)
    }

    pub(super) async fn get(&self, id: DeliveryId) -> Result<Option<Archived>, ArchiveError> {
        let schema = &self.sql.schema;
        let sql =
            format!("SELECT {COLUMNS} FROM {schema}.deliveries d WHERE d.id = $1 AND d.has_body");
        // A body that is moved to another day in between is found at the second attempt.
        for _ in 0..3 {
            let rows = self.pool.query_again(&sql, &[(&uuid(id), Type::UUID)]).await?;
            let Some(row) = rows.first() else { return Ok(None) };
            let found = self.with_bodies(vec![Entry::of(row)?]).await?;
            if let Some(archived) = found.into_iter().next() {
                if let Err(ArchiveError::Damaged { .. }) = &archived {
                    let mark = format!("SELECT {schema}.mark_damaged($1)::text");
                    self.pool.query_again(&mark, &[(&uuid(id), Type::UUID)]).await?;
                }
                return archived.map(Some);
            }
        }
        Ok(None)
    }

    /// Reads the bodies of these deliveries. Leaves out those that were removed or moved in the meantime.
    pub(super) async fn with_bodies(
        &self,
        entries: Vec<Entry>,
    ) -> Result<Vec<Result<Archived, ArchiveError>>, ArchiveError> {
        let ids: Vec<Uuid> = entries.iter().map(|entry| uuid(entry.line.id)).collect();
        let mut days: Vec<&str> = entries.iter().map(|entry| entry.day.as_str()).collect();
        days.dedup();
        let schema = &self.sql.schema;
        let sql = format!(
            "SELECT id, head, body FROM {schema}.bodies WHERE day = ANY ($1::text[]::date[]) AND id = ANY ($2)"
        );
        let params = [(&days as _, Type::TEXT_ARRAY), (&ids as _, Type::UUID_ARRAY)];
        let rows = self.pool.query_again(&sql, &params).await?;
        let mut bodies = std::collections::HashMap::with_capacity(rows.len());
        for row in &rows {
            bodies.insert(bytes_of(value(row, 0)?), row);
        }
        let mut found = Vec::with_capacity(entries.len());
        for entry in entries {
            let Some(row) = bodies.get(&entry.line.id) else { continue };
            let (head, body): (&[u8], Vec<u8>) = (value(row, 1)?, value(row, 2)?);
            found.push(entry.archived(head, body));
        }
        Ok(found)
    }
}
