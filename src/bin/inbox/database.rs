//! An archive on PostgreSQL.

use std::error::Error;

use tower_inbox::archive::{ArchiveError, PostgresArchive, PostgresArchiveBuilder, PostgresUrl};

use crate::{Failure, console};

/// The schema of a URL without `schema=NAME`.
pub(crate) const SCHEMA: &str = "inbox";

/// A database, and the schema of the archive in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Database {
    url: Box<PostgresUrl>,
    pub(crate) schema: String,
}

impl Database {
    /// Parses `postgres://USER@HOST/DB?schema=NAME`, with the environment. `is_argument` is true for a URL on the
    /// command line, which other users of the machine can read: it may not contain the password.
    pub(crate) fn of_url(url: &str, is_argument: bool) -> Result<Self, Failure> {
        let url = PostgresUrl::parse_with_env(url).map_err(|error| usage(&error))?;
        if is_argument && url.has_password() {
            return Err(Failure::usage(
                "password on the command line, where other users can read it; set PGPASSWORD, add it to \
                 ~/.pgpass or the file in PGPASSFILE, or set INBOX_ARCHIVE to the whole URL",
            ));
        }
        if let Some(warning) = url.warning() {
            console::warn(warning);
        }
        let schema = url.schema().unwrap_or(SCHEMA).to_owned();
        Ok(Self { url: Box::new(url), schema })
    }

    /// The options to open the archive. The command does no maintenance of its own, and is no
    /// node.
    pub(crate) fn builder(&self) -> Result<PostgresArchiveBuilder, Failure> {
        let builder = self.url.builder().map_err(|error| usage(&error))?;
        Ok(builder.migrate(false).connections(4).maintenance_interval(None).node_name(None))
    }

    /// Opens the archive, whose schema must exist.
    pub(crate) async fn open(&self) -> Result<PostgresArchive, Box<dyn Error>> {
        Ok(self.builder()?.open().await?)
    }
}

/// The failure of a URL or variable that is invalid, without the text of the archive's error around the reason.
fn usage(error: &ArchiveError) -> Failure {
    Failure::usage(error.source().map_or_else(|| error.to_string(), ToString::to_string))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn password_on_the_command_line_is_refused_and_not_printed() {
        for url in ["postgres://a:hunter2@b/c", "postgres://a@b/c?password=hunter2"] {
            let error = Database::of_url(url, true).unwrap_err();
            assert!(error.to_string().contains("PGPASSWORD"), "{error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
            let allowed = Database::of_url(url, false).unwrap();
            assert!(!format!("{allowed:?}").contains("hunter2"));
        }
        let error = Database::of_url("postgres://a:hunter2@b:port/c", true).unwrap_err();
        assert!(error.to_string().contains("connection string"), "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }

    #[cfg(not(feature = "postgres-rustls"))]
    #[test]
    fn tls_without_the_feature_is_an_error_that_names_it() {
        let error = Database::of_url("postgres://a@b/c?sslmode=verify-full", true).unwrap_err();
        assert!(error.to_string().contains("'postgres-rustls'"), "{error}");
    }
}
