//! `inbox purge` and `inbox erase`.

use std::{collections::HashSet, error::Error, path::Path, process::ExitCode};

use tower_inbox::{
    DeliveryId,
    archive::{Archive, DiskArchive, Query, StateFilter},
    delivery::StateKind,
};

use crate::{
    CommandResult,
    change::{Change, Changed, apply},
    console::{self, deliveries},
    lookup,
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
    let archive = DiskArchive::read_only(&options.archive).await?;
    let wanted = selected_by(&options)?;
    let found = found_ids(&archive, &options, wanted.clone()).await?;
    let mut missing = wanted.selected_ids().unwrap_or_default().to_vec();
    missing.retain(|id| !found.contains(id));
    for id in &missing {
        console::report(&format!("no delivery {id} in {archive}, or it was removed before"));
    }
    let code = if missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    // An inference is searched in all models, which no query does.
    let query = if options.value("inference").is_some() {
        Query::all().ids(found.iter().copied())
    } else {
        wanted
    };
    if missing.is_empty() || !found.is_empty() {
        remove(&options, vec![query]).await?;
    }
    Ok(code)
}

/// What the ids, the file with ids and the selection select together, but for the inference.
fn selected_by(options: &Options) -> Result<Query, Box<dyn Error>> {
    let query = options.selection.query();
    let has_ids = !options.ids.is_empty() || options.ids_file.is_some();
    if !has_ids && !options.selection.is_given() && options.value("inference").is_none() {
        return Err("missing selection; use an ID, --ids FILE, --inference, --model, --state, \
                    --pending, --settled, --since or --before"
            .into());
    }
    let mut ids = options.ids.clone();
    if let Some(file) = &options.ids_file {
        ids.extend(ids_in(&Path::new(file).display().to_string(), &console::read(file)?)?);
    }
    Ok(if has_ids { query.ids(ids) } else { query })
}

/// The ids in a file, one on each line. Empty lines are ignored.
fn ids_in(file: &str, text: &[u8]) -> Result<Vec<DeliveryId>, Box<dyn Error>> {
    let text = String::from_utf8_lossy(text);
    let lines = text.lines().map(str::trim).zip(1_u64..).filter(|(line, _)| !line.is_empty());
    let id = |(line, number): (&str, u64)| {
        line.parse().map_err(|error| format!("{file}, line {number}: {error}").into())
    };
    lines.map(id).collect()
}

/// The deliveries with a body that are selected. A damaged one is among them, and can be removed.
async fn found_ids(
    archive: &DiskArchive,
    options: &Options,
    wanted: Query,
) -> Result<HashSet<DeliveryId>, Box<dyn Error>> {
    if let Some(key) = options.value("inference") {
        let found = lookup::find(archive, &wanted, key).await?;
        return Ok(found.into_iter().map(|entry| entry.id).collect());
    }
    let (mut entries, mut found) = (archive.ledger(wanted), HashSet::new());
    while let Some(entry) = entries.next().await {
        found.insert(entry?.id);
    }
    Ok(found)
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
    fn ids_are_read_one_a_line_and_an_error_names_the_line() {
        let [a, b] = [DeliveryId::new(), DeliveryId::new()];
        assert_eq!(ids_in("f", format!("{a}\r\n\n  {b}").as_bytes()).unwrap(), [a, b]);
        let error = ids_in("f", format!("{a}\n\n\u{1b}[2J\n").as_bytes()).unwrap_err();
        assert!(error.to_string().starts_with("f, line 3: invalid delivery id"), "{error}");
    }

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
