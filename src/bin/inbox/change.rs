//! Changes an archive: directly, or through the server that has it open.

use std::{error::Error, path::Path, time::Duration};

use tokio::task::JoinSet;
use tower_inbox::archive::{Archive, ArchiveError, DiskArchive, Query};

use crate::{
    console::{self, deliveries},
    select::open,
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
}

/// Applies a change to what each query selects.
pub(crate) async fn apply(
    path: &Path,
    change: Change,
    queries: Vec<Query>,
) -> Result<Changed, Box<dyn Error>> {
    // Opening for writing creates an archive, which a mistyped path should not do.
    drop(open(path).await?);
    match DiskArchive::builder(path).maintenance_interval(None).open().await {
        Ok(archive) => {
            let mut changed = 0;
            for query in queries {
                changed += match change {
                    Change::Remove => archive.remove(query).await?,
                    Change::Retry => archive.retry(query).await?,
                };
            }
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
    path: &Path,
    verb: &str,
    queries: Vec<Query>,
) -> Result<(), Box<dyn Error>> {
    let archive = open(path).await?;
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
