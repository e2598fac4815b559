//! `inbox purge` and `inbox erase`.

use std::{error::Error, path::Path, process::ExitCode};

use tower_inbox::{
    archive::{Archive, DiskArchive, Query, StateFilter},
    delivery::StateKind,
};

use crate::{
    CommandResult,
    change::{Change, Changed, apply},
    console::{self, deliveries},
    options::Options,
};

pub(crate) async fn purge(options: Options) -> CommandResult {
    if !options.selection.has_end {
        return Err("missing age; use --keep 30d or --before 2026-01-31".into());
    }
    let query = options.selection.query();
    let states = purged_states(options.has("dead"), options.has("unsettled"));
    let queries = states.into_iter().map(|states| query.clone().states(states)).collect();
    remove(&options, queries).await
}

/// The states that a purge removes: finished ones, and those that the options name.
fn purged_states(dead: bool, unsettled: bool) -> Vec<StateFilter> {
    let mut states = vec![StateFilter::Finished];
    if dead {
        states.push(StateFilter::Only(StateKind::Dead));
        states.push(StateFilter::Only(StateKind::Undecodable));
    }
    if unsettled {
        states.push(StateFilter::Unsettled);
    }
    states
}

pub(crate) async fn erase(options: Options) -> CommandResult {
    let id = options.required_id()?;
    let archive = DiskArchive::read_only(&options.archive).await?;
    // A damaged delivery is an error here, and can be removed.
    if matches!(archive.get(id).await, Ok(None)) {
        console::report(&format!("no delivery {id} in {archive}, or it was removed before"));
        return Ok(ExitCode::FAILURE);
    }
    remove(&options, vec![Query::all().id(id)]).await
}

async fn remove(options: &Options, queries: Vec<Query>) -> CommandResult {
    if options.has("dry-run") {
        return print_selected(&options.archive, "remove", queries).await;
    }
    match apply(&options.archive, Change::Remove, queries).await? {
        Changed::Here(removed) | Changed::ByServer(removed) => {
            eprintln!("removed {}", deliveries(removed));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints how many deliveries a command would process, for `--dry-run`.
pub(crate) async fn print_selected(
    path: &Path,
    verb: &str,
    queries: Vec<Query>,
) -> Result<ExitCode, Box<dyn Error>> {
    let archive = DiskArchive::read_only(path).await?;
    let (mut count, mut bytes) = (0, 0);
    for query in queries {
        let mut found = archive.scan(query);
        while let Some(archived) = found.next().await {
            count += 1;
            // A damaged delivery counts, and its length is unknown.
            bytes += archived.map_or(0, |archived| archived.delivery.body().len());
        }
    }
    eprintln!("would {verb} {} of {bytes} bytes", deliveries(count));
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_is_purged_by_at_most_one_query() {
        let purged = |dead, unsettled| {
            let states = purged_states(dead, unsettled);
            StateKind::ALL.map(|kind| states.iter().filter(|states| states.selects(kind)).count())
        };
        // Pending, leased, processed, failed, dead, undecodable, repeat.
        assert_eq!(purged(false, false), [0, 0, 1, 0, 0, 0, 1]);
        assert_eq!(purged(true, false), [0, 0, 1, 0, 1, 1, 1]);
        assert_eq!(purged(false, true), [1, 1, 1, 1, 0, 0, 1]);
        assert_eq!(purged(true, true), [1; 7]);
    }
}
