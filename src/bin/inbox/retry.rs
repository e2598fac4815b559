use std::{error::Error, path::Path, process::ExitCode, time::Duration};

use tower_inbox::{
    archive::{Archive, ArchiveError, DiskArchive, Query, retry},
    delivery::OutcomeKind,
};

use crate::{Done, options::Options, output::deliveries};

/// For how long the process that writes to the archive is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

/// Has the dead, the undecodable and the failed handled again.
pub(crate) async fn run(options: Options) -> Done {
    let query = match options.id {
        Some(id) => Query::all().id(id),
        None if options.selection.is_given() || options.has("all") => options.selection.query(),
        None => {
            return Err("which? Say inbox retry ID, --model NAME, --outcome WORD, --since TIME, \
                            --before TIME, or --all"
                .into());
        }
    };
    // It is not to make an archive where there is none.
    let reading = DiskArchive::read_only(&options.archive).await?;
    let found = count(&reading, query.clone()).await?;
    if options.has("dry-run") {
        eprintln!("would have {} handled again", deliveries(found));
        return Ok(ExitCode::SUCCESS);
    }
    if found == 0 && options.id.is_some() {
        eprintln!("inbox: there is no such delivery that is dead, undecodable or failed");
        return Ok(ExitCode::FAILURE);
    }
    retried(&options.archive, query).await
}

async fn count(archive: &DiskArchive, query: Query) -> Result<u64, ArchiveError> {
    let mut lines = archive.ledger(query);
    let mut count = 0;
    while let Some(line) = lines.next().await {
        let kind = line?.outcome.map(|outcome| outcome.kind());
        let retried = [OutcomeKind::Dead, OutcomeKind::Undecodable, OutcomeKind::Failed];
        count += u64::from(kind.is_some_and(|kind| retried.contains(&kind)));
    }
    Ok(count)
}

async fn retried(path: &Path, query: Query) -> Result<ExitCode, Box<dyn Error>> {
    match DiskArchive::builder(path).upkeep_every(None).open().await {
        Ok(archive) => {
            let retried = retry(&archive, query).await?.len() as u64;
            archive.close().await;
            eprintln!("{} will be handled again when the server starts", deliveries(retried));
        }
        Err(ArchiveError::Locked { .. }) => {
            eprintln!("another process writes to the archive, and is asked to do it");
            let asked = DiskArchive::ask_to_retry(path, query, PATIENCE).await?;
            let retried = asked.ok_or(
                "nothing is pending again yet, since the other process did not answer: the \
                 request stays, and is done by it, or by the next one that opens the archive",
            )?;
            eprintln!("{} will be handled again within seconds", deliveries(retried));
        }
        Err(error) => return Err(error.into()),
    }
    Ok(ExitCode::SUCCESS)
}
