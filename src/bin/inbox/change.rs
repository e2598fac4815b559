//! Changes an archive: directly, or through the server that has it open.

use std::{error::Error, path::Path, time::Duration};

use tokio::task::JoinSet;
use tower_inbox::archive::{Archive, ArchiveError, DiskArchive, Query};

use crate::{
    console::{self, deliveries},
    location::{Location, open, open_directory},
};

/// The timeout of a request to the process that has the archive open for writing.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A change of the deliveries that a query selects.
#[derive(Clone, Copy)]
pub(crate) enum Change {
    /// See [`Archive::remove`].
    Remove,
    /// See [`Archive::retry`].
    Retry,
}

/// Which process made a change, and the number of deliveries that it changed.
pub(crate) enum Changed {
    Here(u64),
    ByServer(u64),
    /// In a database that servers share.
    #[cfg(feature = "postgres")]
    InDatabase(u64),
}

impl Changed {
    pub(crate) fn number(&self) -> u64 {
        match self {
            Self::Here(changed) | Self::ByServer(changed) => *changed,
            #[cfg(feature = "postgres")]
            Self::InDatabase(changed) => *changed,
        }
    }
}

/// Applies a change to what each query selects.
pub(crate) async fn apply(
    at: &Location,
    change: Change,
    queries: Vec<Query>,
) -> Result<Changed, Box<dyn Error>> {
    #[cfg_attr(
        not(feature = "postgres"),
        expect(clippy::infallible_destructuring_match, reason = "the only kind of archive")
    )]
    let path = match at {
        Location::Directory(path) => path,
        #[cfg(feature = "postgres")]
        Location::Database(database) => {
            let archive = database.open().await?;
            let changed = change_all(&archive, change, queries).await?;
            archive.close().await;
            return Ok(Changed::InDatabase(changed));
        }
    };
    // Opening for writing creates an archive, which a mistyped path should not do.
    drop(open_directory(path).await?);
    match DiskArchive::builder(path).maintenance_interval(None).open().await {
        Ok(archive) => {
            let changed = change_all(&archive, change, queries).await?;
            archive.close().await;
            Ok(Changed::Here(changed))
        }
        Err(ArchiveError::Locked { .. }) => {
            console::note("archive is open in another process; sending it a request");
            Ok(Changed::ByServer(ask(path, change, queries).await?))
        }
        Err(error) => Err(error.into()),
    }
}

async fn change_all(
    archive: &dyn Archive,
    change: Change,
    queries: Vec<Query>,
) -> Result<u64, ArchiveError> {
    let mut changed = 0;
    for query in queries {
        changed += match change {
            Change::Remove => archive.remove(query).await?,
            Change::Retry => archive.retry(query).await?,
        };
    }
    Ok(changed)
}

/// Sends all requests at once, because the other process reads requests once a second.
async fn ask(path: &Path, change: Change, queries: Vec<Query>) -> Result<u64, Box<dyn Error>> {
    let mut requests = JoinSet::new();
    for query in queries {
        let path = path.to_owned();
        requests.spawn(async move {
            match change {
                Change::Remove => DiskArchive::request_removal(path, query, TIMEOUT).await,
                Change::Retry => DiskArchive::request_retry(path, query, TIMEOUT).await,
            }
        });
    }
    let mut changed = 0;
    while let Some(answer) = requests.join_next().await {
        changed += answer??.ok_or_else(|| {
            format!(
                "no answer from the other process within {} s; the request stays in the archive, and \
                 is executed by that process or by the next one that opens it",
                TIMEOUT.as_secs()
            )
        })?;
    }
    Ok(changed)
}

/// Prints the number and the size of the deliveries that a command would process, for `--dry-run`.
pub(crate) async fn print_selected(
    at: &Location,
    verb: &str,
    queries: Vec<Query>,
) -> Result<(), Box<dyn Error>> {
    let archive = open(at).await?;
    let (mut count, mut bytes) = (0, 0);
    for query in queries {
        let mut found = archive.scan(query);
        while let Some(archived) = found.next().await {
            count += 1;
            // A damaged delivery counts, and its length is unknown.
            bytes += archived.map_or(0, |archived| archived.delivery.body().len());
        }
    }
    console::result(&format!("would {verb} {} of {bytes} bytes", deliveries(count)));
    Ok(())
}
