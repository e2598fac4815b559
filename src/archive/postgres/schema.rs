//! The versions of the schema: embedded, applied in order, each in a transaction under a lock.

use std::fmt::Write;

use tokio::time::Instant;
use tokio_postgres::types::Type;

use super::{
    error::{Failure, OpenError},
    operations::value,
    server::Server,
    session::Session,
};
use crate::archive::{ArchiveError, SchemaState};

/// The statements of each version, after the oldest version whose crate still works with it. A version is never changed
/// after its release. So that nodes can be updated one by one, a version only adds, and a later one removes what no
/// supported crate uses.
const VERSIONS: [(i32, &[&str]); 4] = [
    (1, &[include_str!("sql/0001/tables.sql")]),
    (
        2,
        &[
            include_str!("sql/0002/states.sql"),
            include_str!("sql/0002/append.sql"),
            include_str!("sql/0002/leases.sql"),
            include_str!("sql/0002/settle.sql"),
            include_str!("sql/0002/queries.sql"),
            include_str!("sql/0002/settings.sql"),
        ],
    ),
    (3, &[include_str!("sql/0003/maintenance.sql")]),
    (
        3,
        &[
            include_str!("sql/0004/trim.sql"),
            include_str!("sql/0004/position.sql"),
            include_str!("sql/0004/settings.sql"),
        ],
    ),
];

/// The version that this crate needs.
fn needed() -> i32 {
    i32::try_from(VERSIONS.len()).unwrap_or(i32::MAX)
}

/// The version of a schema in a database, and the version that this crate needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SchemaStatus {
    /// The version in the database; `None` if there is none.
    pub found: Option<i32>,
    /// The version that this crate needs.
    pub needed: i32,
    /// Whether this crate works with the version in the database: an equal one, or a later one that is compatible.
    pub is_usable: bool,
}

impl SchemaStatus {
    /// `found` is the version in the database, and the oldest version whose crate works with it.
    pub(super) fn of(found: Option<(i32, i32)>) -> Self {
        let needed = needed();
        let is_usable = found.is_some_and(|(version, oldest)| (oldest..=version).contains(&needed));
        Self { found: found.map(|(version, _)| version), needed, is_usable }
    }

    pub(super) fn state(self) -> SchemaState {
        match self.found {
            _ if self.is_usable => SchemaState::Usable,
            None => SchemaState::Missing,
            Some(found) if found < self.needed => SchemaState::Outdated,
            Some(_) => SchemaState::TooNew,
        }
    }

    /// Returns true if the versions are equal.
    pub fn is_current(&self) -> bool {
        self.found == Some(self.needed)
    }
}

/// The name of a PostgreSQL schema.
#[derive(Clone, Debug)]
pub(super) struct Schema {
    name: String,
}

impl Schema {
    pub(super) fn new(name: &str) -> Result<Self, OpenError> {
        if (1..=63).contains(&name.len()) && !name.contains('\0') {
            Ok(Self { name: name.to_owned() })
        } else {
            Err(OpenError::SchemaName(name.to_owned()))
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The name as an SQL identifier.
    pub(super) fn quoted(&self) -> String {
        format!("\"{}\"", self.name.replace('"', "\"\""))
    }

    /// The name as an SQL string.
    fn literal(&self) -> String {
        format!("'{}'", self.name.replace('\'', "''"))
    }

    /// The statements that create the schema, or add the versions after `found`, without BEGIN and COMMIT.
    fn statements(&self, found: i32) -> String {
        let (schema, literal) = (self.quoted(), self.literal());
        let mut text = format!(
            "DO $create$\nBEGIN\n    IF to_regnamespace(quote_ident({literal})) IS NULL THEN\n        \
             CREATE SCHEMA {schema};\n    END IF;\nEND\n$create$;\n\
             SET LOCAL search_path = {schema}, pg_temp;\n\
             CREATE TABLE IF NOT EXISTS schema_version (\n    version integer PRIMARY KEY,\n    \
             compatible_with integer NOT NULL,\n    applied_at timestamptz NOT NULL DEFAULT now()\n);\n"
        );
        for (version, (oldest, sql)) in (1..).zip(VERSIONS) {
            if version > found {
                let sql = sql.join("\n");
                // Writing to a string cannot fail.
                let _ = write!(
                    text,
                    "\n{sql}\nINSERT INTO schema_version VALUES ({version}, {oldest});\n"
                );
            }
        }
        text
    }

    /// The whole script for a new schema, for `psql`.
    pub(super) fn script(&self) -> String {
        format!("BEGIN;\n{}COMMIT;\n", self.statements(0))
    }

    /// The version in the database, and the oldest version whose crate works with it.
    async fn version(&self, session: &Session) -> Result<Option<(i32, i32)>, Failure> {
        // Not `to_regclass`: its cache may be older than the lock that this transaction has waited for.
        let exists = "SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
            WHERE n.nspname = $1 AND c.relname = 'schema_version')";
        let rows = session.query(exists, &[(&self.name, Type::TEXT)]).await?;
        if !super::operations::only::<bool>(&rows)? {
            return Ok(None);
        }
        let latest = format!(
            "SELECT version, compatible_with FROM {}.schema_version ORDER BY version DESC LIMIT 1",
            self.quoted()
        );
        let rows = session.query(&latest, &[]).await?;
        rows.first().map(|row| Ok((value(row, 0)?, value(row, 1)?))).transpose()
    }

    pub(super) async fn status(&self, session: &Session) -> Result<SchemaStatus, Failure> {
        Ok(SchemaStatus::of(self.version(session).await?))
    }

    /// Adds the missing versions. Nodes that start at the same time wait for each other.
    pub(super) async fn migrate(&self, session: &Session) -> Result<SchemaStatus, ArchiveError> {
        let status = self.status(session).await?;
        if status.found.is_some_and(|found| found >= needed()) {
            return Ok(status);
        }
        let lock = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL client_min_messages = warning; \
             SELECT pg_advisory_xact_lock(hashtextextended('tower-inbox schema ' || {}, 0))",
            self.literal()
        );
        let result = async {
            session.batch(&lock).await?;
            let found = self.version(session).await?.map_or(0, |(version, _)| version);
            if found < needed() {
                session.batch(&self.statements(found)).await?;
            }
            session.batch("COMMIT").await
        };
        if let Err(failure) = result.await {
            // Fails if the connection is lost, which also ends the transaction.
            drop(session.batch("ROLLBACK").await);
            return Err(failure.into());
        }
        Ok(self.status(session).await?)
    }

    /// Fails unless this crate works with the version of the schema.
    pub(super) fn check(&self, status: SchemaStatus) -> Result<(), OpenError> {
        let (schema, needed) = (self.name.clone(), status.needed);
        match status.found {
            None => Err(OpenError::Missing { schema }),
            Some(found) if found < needed => Err(OpenError::Older { schema, found, needed }),
            Some(found) if !status.is_usable => Err(OpenError::Newer { schema, found, needed }),
            Some(_) => Ok(()),
        }
    }
}

fn quote_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// What the server guarantees, read when the archive is opened.
#[derive(Clone, Debug)]
pub(super) struct Guarantees {
    pub(super) version: String,
    pub(super) standbys: String,
}

/// Checks that acknowledged deliveries survive a crash of the server.
pub(super) async fn check_server(
    session: &Session,
    requires_standby: bool,
) -> Result<Guarantees, ArchiveError> {
    let settings = "SELECT current_setting('server_version_num')::int, current_setting('server_version'), \
        current_setting('fsync'), current_setting('default_transaction_isolation'), \
        current_setting('synchronous_standby_names')";
    let rows = session.query(settings, &[]).await?;
    let row = rows.first().ok_or_else(|| Failure::Answer("no row".to_owned()))?;
    let version: String = value(row, 1)?;
    if value::<i32>(row, 0)? < 140_000 {
        return Err(OpenError::Version(version).into());
    }
    if value::<&str>(row, 2)? == "off" {
        return Err(OpenError::Fsync.into());
    }
    let isolation: &str = value(row, 3)?;
    if !["read committed", "read uncommitted"].contains(&isolation) {
        return Err(OpenError::Isolation(isolation.to_owned()).into());
    }
    let standbys: String = value(row, 4)?;
    if requires_standby && standbys.trim().is_empty() {
        return Err(OpenError::NoStandby.into());
    }
    Ok(Guarantees { version, standbys })
}

/// Fails if a table of the schema is not written to the log of the server.
pub(super) async fn check_tables(session: &Session, schema: &Schema) -> Result<(), ArchiveError> {
    let unlogged = format!(
        "SELECT relname::text FROM pg_class WHERE relnamespace = to_regnamespace({}) \
         AND relkind IN ('r', 'p') AND relpersistence <> 'p' LIMIT 1",
        quote_literal(&schema.quoted())
    );
    match session.query(&unlogged, &[]).await?.first() {
        Some(row) => Err(OpenError::Unlogged(value(row, 0)?).into()),
        None => Ok(()),
    }
}

/// Opens a connection for the schema's own statements.
pub(super) async fn session(server: &Server, deadline: Instant) -> Result<Session, ArchiveError> {
    Ok(server.session(deadline).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schema_name_is_quoted() {
        let schema = Schema::new("a\"b'c").unwrap();
        assert_eq!(
            (schema.quoted().as_str(), schema.literal().as_str()),
            ("\"a\"\"b'c\"", "'a\"b''c'")
        );
        for invalid in ["", "a\0", &"x".repeat(64)] {
            assert!(Schema::new(invalid).is_err(), "{invalid:?}");
        }
    }

    #[test]
    fn script_has_every_version() {
        let script = Schema::new("inbox").unwrap().script();
        for version in 1..=needed() {
            assert!(script.contains(&format!("INSERT INTO schema_version VALUES ({version}, ")));
        }
    }
}
