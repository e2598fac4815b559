//! The archive that a command uses: a directory, or a PostgreSQL database.

use std::{
    error::Error,
    ffi::OsStr,
    path::{Path, PathBuf},
    sync::Arc,
};

use tower_inbox::archive::{Archive, DiskArchive};

use crate::Failure;
#[cfg(feature = "postgres")]
use crate::database::Database;

/// An archive, not yet opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Location {
    Directory(PathBuf),
    #[cfg(feature = "postgres")]
    Database(Database),
}

impl Location {
    /// The directory or the database that an option or a variable names.
    pub(crate) fn of(text: &OsStr) -> Result<Self, Failure> {
        match text.to_str().filter(|text| is_url(text)) {
            Some(url) => Self::of_url(url),
            None => Ok(Self::Directory(text.into())),
        }
    }

    #[cfg(feature = "postgres")]
    fn of_url(url: &str) -> Result<Self, Failure> {
        let is_argument =
            |argument: std::ffi::OsString| argument.as_encoded_bytes().ends_with(url.as_bytes());
        Ok(Self::Database(Database::of_url(url, std::env::args_os().any(is_argument))?))
    }

    #[cfg(not(feature = "postgres"))]
    fn of_url(_: &str) -> Result<Self, Failure> {
        let message = "this build cannot open an archive on PostgreSQL; build the command with the features 'cli' and \
                       'postgres'";
        Err(Failure::usage(message))
    }

    /// The directory. Fails for a database, where `instead` replaces the command.
    #[cfg_attr(
        not(feature = "postgres"),
        expect(unused_variables, clippy::unnecessary_wraps, reason = "only a database fails")
    )]
    pub(crate) fn directory(&self, instead: &str) -> Result<&Path, Failure> {
        match self {
            Self::Directory(path) => Ok(path),
            #[cfg(feature = "postgres")]
            Self::Database(_) => Err(Failure::usage(format!(
                "the command requires an archive in a directory; on PostgreSQL, {instead}"
            ))),
        }
    }
}

/// Opens an archive to read it.
pub(crate) async fn open(at: &Location) -> Result<Arc<dyn Archive>, Box<dyn Error>> {
    match at {
        Location::Directory(path) => Ok(Arc::new(open_directory(path).await?)),
        #[cfg(feature = "postgres")]
        Location::Database(database) => Ok(Arc::new(database.open().await?)),
    }
}

/// Opens the archive in a directory to read it.
pub(crate) async fn open_directory(path: &Path) -> Result<DiskArchive, Box<dyn Error>> {
    if path.is_dir() {
        return Ok(DiskArchive::read_only(path).await?);
    }
    let path = path.display();
    Err(Failure::usage(format!("no archive in {path}; use --archive DIR, or set INBOX_ARCHIVE"))
        .into())
}

fn is_url(text: &str) -> bool {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| ["postgres", "postgresql"].contains(&scheme))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archive_is_a_database_by_its_scheme() {
        for (text, wanted) in [
            ("postgres://inbox@db/app", true),
            ("postgresql://inbox@db/app", true),
            ("postgres", false),
            ("./postgres:/a", false),
            ("/var/lib/inbox", false),
        ] {
            assert_eq!(is_url(text), wanted, "{text}");
        }
    }

    #[cfg(not(feature = "postgres"))]
    #[test]
    fn url_without_the_feature_is_an_error_that_names_it() {
        let error = Location::of(OsStr::new("postgres://inbox@db/app")).unwrap_err();
        assert!(error.to_string().contains("'postgres'"), "{error}");
    }
}
