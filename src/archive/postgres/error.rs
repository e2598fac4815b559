//! Failures of statements, without parameters, row contents or passwords.

use std::time::Duration;

use tokio_postgres::error::SqlState;

use crate::archive::ArchiveError;

/// The reason why a statement failed.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The statement was not sent.
    #[error("no connection to the database: {0}")]
    NoConnection(String),
    /// The connection was lost while the statement ran.
    #[error("connection to the database was lost: {0}")]
    Lost(String),
    /// The database rejected the statement, and rolled it back.
    #[error("database error {}: {message}", code.code())]
    Rejected { code: SqlState, message: String },
    /// The statement took effect here, but may not be replicated.
    #[error("the database committed with a warning; a wait for a standby may have been cancelled")]
    Warned,
    /// A synchronous standby is required.
    #[error(
        "the server no longer has a synchronous standby configured; set synchronous_standby_names"
    )]
    NoStandby,
    /// The answer has another form than this version expects.
    #[error("unexpected answer of the database: {0}")]
    Answer(String),
}

impl Failure {
    /// The failure of a statement that was sent.
    pub(super) fn of(error: &tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            // Without detail and hint: they may contain values of a row.
            Some(db) if is_shutdown(db.code()) => Self::Lost(db.message().to_owned()),
            Some(db) => {
                Self::Rejected { code: db.code().clone(), message: db.message().to_owned() }
            }
            None if error.is_closed() || is_io(error) => Self::Lost(error.to_string()),
            None => Self::Answer(error.to_string()),
        }
    }

    /// The failure of an attempt to connect.
    pub(super) fn connecting(error: &tokio_postgres::Error) -> Self {
        let source = std::error::Error::source(error);
        let text = match (error.as_db_error(), source) {
            (Some(db), _) => db.message().to_owned(),
            (None, Some(source)) => format!("{error}: {source}"),
            (None, None) => error.to_string(),
        };
        let advice = source.and_then(advice_on_tls).map(|advice| format!("{text}; {advice}"));
        Self::NoConnection(advice.unwrap_or(text))
    }

    pub(super) fn is(&self, wanted: &SqlState) -> bool {
        matches!(self, Self::Rejected { code, .. } if code == wanted)
    }

    /// Returns true if the same statement may succeed if it is sent again at once.
    pub(super) fn is_conflict(&self) -> bool {
        self.is(&SqlState::T_R_DEADLOCK_DETECTED) || self.is(&SqlState::T_R_SERIALIZATION_FAILURE)
    }
}

/// What to do about an attempt to connect that failed because of TLS. `source` is that of the driver's error.
fn advice_on_tls(source: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    let text = source.to_string();
    // The end of a rejection by `pg_hba.conf`.
    if text.contains("no encryption") {
        return Some(
            "if the server requires TLS, use sslmode=verify-full, which needs the feature 'postgres-rustls'",
        );
    }
    if text == "server does not support TLS" {
        return Some(
            "turn on ssl on the server, or use sslmode=disable in a network that you trust",
        );
    }
    #[cfg(feature = "postgres-rustls")]
    return super::rustls::advice(source);
    #[cfg(not(feature = "postgres-rustls"))]
    None
}

/// Returns true for the errors with which the server ends a connection.
fn is_shutdown(code: &SqlState) -> bool {
    [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN, SqlState::CANNOT_CONNECT_NOW]
        .contains(code)
        || code.code().starts_with("08")
}

fn is_io(error: &tokio_postgres::Error) -> bool {
    let source = std::error::Error::source(error);
    source.is_some_and(<dyn std::error::Error>::is::<std::io::Error>)
}

impl From<Failure> for ArchiveError {
    fn from(failure: Failure) -> Self {
        match &failure {
            Failure::NoConnection(_) => Self::Unavailable(Box::new(failure)),
            Failure::Lost(_) | Failure::Warned => Self::Unsure(Box::new(failure)),
            Failure::Rejected { code, .. } if is_temporary(code) => {
                Self::Unavailable(Box::new(failure))
            }
            Failure::Rejected { .. } | Failure::NoStandby | Failure::Answer(_) => {
                Self::Other(Box::new(failure))
            }
        }
    }
}

/// Returns true for rejections that have to do with the load or the state of the server. The statement had no effect.
fn is_temporary(code: &SqlState) -> bool {
    let class = code.code().get(..2).unwrap_or_default();
    ["40", "53", "55", "57", "58", "25"].contains(&class)
}

/// The database did not answer in time. The statement may still take effect.
#[derive(Debug, thiserror::Error)]
#[error("the database did not answer within {0:?}")]
pub(super) struct NotInTime(pub(super) Duration);

/// The options or the database do not fit; nothing was opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    #[error("invalid connection string; expected postgres://USER@HOST/DATABASE or KEY=VALUE pairs")]
    Url,
    #[error("the parameter {0} of the URL is not supported; remove it")]
    Parameter(&'static str),
    #[error("the environment variable {0} is not valid Unicode")]
    Variable(&'static str),
    #[error("invalid PGCHANNELBINDING; expected disable, prefer or require")]
    ChannelBinding,
    #[error("invalid sslmode; expected disable, prefer, require, verify-ca or verify-full")]
    SslMode,
    #[error(
        "sslrootcert=system requires sslmode=verify-full: anybody can have a certificate of a public authority"
    )]
    WeakSslMode,
    #[error(
        "sslmode requires TLS, which this build does not have; enable the feature 'postgres-rustls'"
    )]
    NoTls,
    #[error(
        "sslmode=verify-ca requires a root certificate; set sslrootcert=FILE, or use verify-full"
    )]
    NoRoots,
    #[cfg(feature = "postgres-rustls")]
    #[error("the system has no root certificates; install them, or set sslrootcert=FILE")]
    NoSystemRoots,
    #[cfg(feature = "postgres-rustls")]
    #[error("cannot use the root certificates in {}: {reason}", file.display())]
    Roots { file: std::path::PathBuf, reason: String },
    #[cfg(feature = "postgres-rustls")]
    #[error("cannot set up TLS")]
    Tls(#[source] rustls::Error),
    #[error("invalid schema name {0:?}; expected 1 to 63 bytes without NUL")]
    SchemaName(String),
    #[error("PostgreSQL {0} is too old; use 14 or later")]
    Version(String),
    #[error(
        "fsync is off on the database server: a crash would lose acknowledged deliveries; turn it on"
    )]
    Fsync,
    #[error("default_transaction_isolation is {0:?}; set it to 'read committed' for this role")]
    Isolation(String),
    #[error(
        "table {0} is unlogged or temporary: a crash would lose acknowledged deliveries; set it to LOGGED"
    )]
    Unlogged(String),
    #[error(
        "no synchronous standby is configured; set synchronous_standby_names, or do not require one"
    )]
    NoStandby,
    #[error("schema {schema} does not exist, or is empty; run 'inbox schema migrate'")]
    Missing { schema: String },
    #[error(
        "schema {schema} has version {found}, and this version of the crate needs {needed}; run 'inbox schema migrate'"
    )]
    Older { schema: String, found: i32, needed: i32 },
    #[error(
        "schema {schema} has version {found}, which is newer than {needed}; use a newer version of the crate"
    )]
    Newer { schema: String, found: i32, needed: i32 },
}

impl From<OpenError> for ArchiveError {
    fn from(error: OpenError) -> Self {
        Self::Other(Box::new(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejection_by_a_busy_server_had_no_effect() {
        let rejected = |code: SqlState| Failure::Rejected { code, message: String::new() };
        for code in [SqlState::QUERY_CANCELED, SqlState::DISK_FULL, SqlState::TOO_MANY_CONNECTIONS]
        {
            let error = ArchiveError::from(rejected(code));
            assert!(matches!(error, ArchiveError::Unavailable(_)), "{error:?}");
        }
        let error = ArchiveError::from(rejected(SqlState::UNDEFINED_TABLE));
        assert!(matches!(error, ArchiveError::Other(_)), "{error:?}");
        assert!(matches!(ArchiveError::from(Failure::Warned), ArchiveError::Unsure(_)));
    }
}
