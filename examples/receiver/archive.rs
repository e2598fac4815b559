//! The archive: a directory, or a schema of a PostgreSQL database.

use std::{error::Error, ffi::OsStr, sync::Arc};

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
    use tokio_postgres::Config;
    use tower_inbox::archive::PostgresArchive;

    let given = url;
    let (url, schema) = without_schema(url);
    // The error of the parser may contain parts of the password.
    let config: Config = url.parse().map_err(|_| "invalid URL of an archive")?;
    let mut builder = PostgresArchive::builder(&url);
    if config.get_password().is_some() {
        // Other users of the machine can read command lines.
        if std::env::args().any(|argument| argument.ends_with(given)) {
            return Err("password on the command line; set INBOX_ARCHIVE or PGPASSWORD".into());
        }
    } else if let Ok(password) = std::env::var("PGPASSWORD") {
        let encode =
            |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let separator = if url.contains('?') { '&' } else { '?' };
        let password = encode(&password).replace('+', "%20");
        builder = PostgresArchive::builder(format!("{url}{separator}password={password}"));
    }
    if let Some(schema) = schema {
        builder = builder.schema(schema);
    }
    Ok(Arc::new(builder.open().await?))
}

/// Splits the parameter `schema` from a URL.
#[cfg(feature = "postgres")]
fn without_schema(url: &str) -> (String, Option<String>) {
    let Some((base, query)) = url.split_once('?') else { return (url.to_owned(), None) };
    let is_schema = |pair: &&str| pair.starts_with("schema=");
    let (schema, others): (Vec<_>, Vec<_>) = query.split('&').partition(is_schema);
    let schema = schema.first().and_then(|pair| pair.split_once('=')).map(|(_, name)| name.into());
    let separator = if others.is_empty() { "" } else { "?" };
    (format!("{base}{separator}{}", others.join("&")), schema)
}

#[cfg(not(feature = "postgres"))]
#[expect(clippy::unused_async, reason = "the other one waits")]
async fn open_database(_: &str) -> Result<Arc<dyn Archive>, Box<dyn Error>> {
    Err("an archive on PostgreSQL requires the feature `postgres`".into())
}
