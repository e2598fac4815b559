//! The archive: a directory, or a schema of a PostgreSQL database.

use std::{error::Error, ffi::OsStr, sync::Arc};

#[cfg(feature = "postgres")]
use tower_inbox::archive::PostgresUrl;
use tower_inbox::{Archive, DiskArchive};

/// Opens the archive that `--archive` or `INBOX_ARCHIVE` names.
pub(crate) async fn open(archive: &OsStr) -> Result<Arc<dyn Archive>, Box<dyn Error>> {
    let url = archive.to_str().filter(|text| {
        ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme))
    });
    match url {
        Some(url) => open_database(url).await,
        None => Ok(Arc::new(DiskArchive::open(archive).await?)),
    }
}

#[cfg(feature = "postgres")]
async fn open_database(url: &str) -> Result<Arc<dyn Archive>, Box<dyn Error>> {
    let parsed = PostgresUrl::parse_with_env(url).map_err(|error| text(&error))?;
    // Other users of the machine can read command lines.
    if parsed.has_password() && std::env::args().any(|argument| argument.ends_with(url)) {
        return Err(
            "password on the command line; set INBOX_ARCHIVE, PGPASSWORD or PGPASSFILE".into()
        );
    }
    let builder = parsed.builder().map_err(|error| text(&error))?;
    Ok(Arc::new(builder.open().await.map_err(|error| text(&error))?))
}

/// The text of an error with its sources, because the error that ends the program is printed by `Debug`.
#[cfg(feature = "postgres")]
fn text(error: &dyn Error) -> String {
    let source = error.source().map(|source| format!(": {}", text(source)));
    format!("{error}{}", source.unwrap_or_default())
}

#[cfg(not(feature = "postgres"))]
#[expect(clippy::unused_async, reason = "the other one waits")]
async fn open_database(_: &str) -> Result<Arc<dyn Archive>, Box<dyn Error>> {
    Err("an archive on PostgreSQL requires the feature `postgres`".into())
}
