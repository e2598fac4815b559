use std::{error::Error, path::Path, process::ExitCode, time::Duration};

use tower_inbox::archive::{Archive, ArchiveError, DiskArchive, Query};

use crate::output::deliveries;

/// For how long the process that writes to the archive is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

/// Removes what `query` selects: itself, or, where a server has the archive open, by having the server do it.
pub(crate) async fn remove(path: &Path, query: Query) -> Result<ExitCode, Box<dyn Error>> {
    // It is not to make an archive where there is none.
    drop(DiskArchive::read_only(path).await?);
    match DiskArchive::builder(path).upkeep_every(None).open().await {
        Ok(archive) => {
            let removed = archive.remove(query).await?;
            archive.close().await;
            eprintln!("removed {}", deliveries(removed));
            Ok(ExitCode::SUCCESS)
        }
        Err(ArchiveError::Locked { .. }) => ask(path, query).await,
        Err(error) => Err(error.into()),
    }
}

async fn ask(path: &Path, query: Query) -> Result<ExitCode, Box<dyn Error>> {
    eprintln!("another process writes to the archive, and is asked to remove it");
    match DiskArchive::ask_to_remove(path, query, PATIENCE).await? {
        Some(removed) => {
            eprintln!("removed {}", deliveries(removed));
            Ok(ExitCode::SUCCESS)
        }
        None => {
            Err("nothing was removed yet, since the other process did not answer: the request \
                     stays, and is done by it, or by the next one that opens the archive"
                .into())
        }
    }
}

/// Says what would be removed.
pub(crate) async fn would(
    path: &Path,
    verb: &str,
    query: Query,
) -> Result<ExitCode, Box<dyn Error>> {
    let archive = DiskArchive::read_only(path).await?;
    let mut found = archive.scan(query);
    let (mut count, mut bytes) = (0, 0);
    while let Some(archived) = found.next().await {
        count += 1;
        // What is damaged would be removed as well.
        bytes += archived.map_or(0, |archived| archived.delivery.body().len());
    }
    eprintln!("would {verb} {} of {bytes} bytes", deliveries(count));
    Ok(ExitCode::SUCCESS)
}
