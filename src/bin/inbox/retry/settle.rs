use std::{error::Error, path::Path, time::Duration};

use tokio::task::JoinSet;
use tower_inbox::archive::{ArchiveError, DiskArchive, Query, retry as settle};

use crate::output::deliveries;

/// For how long the process that writes to the archive is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

/// Makes pending again what was not taken: itself, or, where a server has the archive open, by having the server do it.
pub(super) async fn retry(path: &Path, queries: Vec<Query>) -> Result<(), Box<dyn Error>> {
    match DiskArchive::builder(path).upkeep_every(None).open().await {
        Ok(archive) => {
            let mut retried = 0;
            for query in queries {
                retried += settle(&archive, query).await?.len() as u64;
            }
            archive.close().await;
            eprintln!("{} will be handled again when the server starts", deliveries(retried));
        }
        Err(ArchiveError::Locked { .. }) => {
            eprintln!("another process writes to the archive, and is asked to do it");
            let retried = ask(path, queries).await?;
            eprintln!("{} will be handled again within seconds", deliveries(retried));
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// All at once: the other process looks for requests once a second.
async fn ask(path: &Path, queries: Vec<Query>) -> Result<u64, Box<dyn Error>> {
    let asked = queries
        .into_iter()
        .map(|query| DiskArchive::ask_to_retry(path.to_owned(), query, PATIENCE));
    let mut asked: JoinSet<_> = asked.collect();
    let mut retried = 0;
    while let Some(answer) = asked.join_next().await {
        retried += answer??.ok_or(
            "not all is pending again yet, since the other process did not answer: the request \
             stays, and is done by it, or by the next one that opens the archive",
        )?;
    }
    Ok(retried)
}
