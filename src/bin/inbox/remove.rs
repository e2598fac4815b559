//! `inbox purge` and `inbox erase`: remove heads and bodies.

use std::{error::Error, ffi::OsString, path::Path, time::SystemTime};

use clap::Args;
use tower_inbox::{
    DeliveryId, ModelName,
    archive::{Archive, Query, StateFilter},
    delivery::StateKind,
};

use crate::{
    CommandResult, Failure,
    change::{Change, apply, print_selected},
    cli::after_help,
    console::{self, code, deliveries},
    location::{Location, open},
    select::{Selection, entries, missing, narrow, parse_age, parse_time, resolve_ids},
};

/// Remove finished deliveries that are older than an age
///
/// Removes heads and bodies of deliveries that are processed, or a repeat. Ids, digests and states stay, so that
/// repeats are still recognized. When the command ends, the bytes are deleted from the disk.
#[derive(Args, Debug)]
#[command(after_long_help = after_help!("\
Examples:
  inbox purge --keep 30d --dry-run
  inbox purge --before 2026-01-31 --model /hooks/invoices --dead

"))]
pub(crate) struct PurgeArgs {
    /// Remove deliveries older than AGE, such as 12h or 30d
    #[arg(long, value_name = "AGE", value_parser = parse_age, required_unless_present = "before")]
    keep: Option<SystemTime>,
    /// Remove deliveries received before TIME
    #[arg(long, value_name = "TIME", value_parser = parse_time, conflicts_with = "keep")]
    before: Option<SystemTime>,
    /// Print the number of deliveries, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Only deliveries of this model, by its path
    #[arg(long, value_name = "NAME", help_heading = "Selection")]
    model: Option<ModelName>,
    /// Also remove deliveries that are dead or undecodable
    #[arg(long, help_heading = "Selection")]
    dead: bool,
    /// Also remove deliveries that are pending, leased or failed; they are not processed again
    #[arg(long, help_heading = "Selection")]
    unsettled: bool,
}

pub(crate) async fn purge(args: PurgeArgs, at: &Location) -> CommandResult {
    let query = args.keep.or(args.before).into_iter().fold(Query::all(), Query::before);
    let query = args.model.into_iter().fold(query, Query::model);
    let states = purged_states(args.dead, args.unsettled);
    let queries = states.into_iter().map(|states| query.clone().states(states)).collect();
    remove(at, queries, args.dry_run).await?;
    Ok(code(true))
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

/// Remove deliveries in any state
///
/// Removes heads and bodies. Ids, digests and states stay. When the command ends, the bytes are deleted from the disk,
/// but copies of the archive keep them: see `inbox help backup`.
///
/// One command for many deliveries is much faster than one command for each: it rewrites each segment once. If ids and
/// conditions are given, only deliveries that match all of them are removed. The exit status is 1 if an ID is not
/// found; the others are removed.
#[derive(Args, Debug)]
#[command(after_long_help = after_help!("\
Examples:
  inbox erase 01890a5d-ac96
  inbox erase --inference inv_1
  inbox list --json --limit 0 --model /old | jq -r .id | inbox erase --ids -

"))]
pub(crate) struct EraseArgs {
    /// The ids of the deliveries, or unique prefixes of them
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// A file with whole ids, one per line; `-` is standard input
    #[arg(long = "ids", value_name = "FILE")]
    ids_file: Option<OsString>,
    /// Print the number of deliveries, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    selection: Selection,
}

pub(crate) async fn erase(args: EraseArgs, at: &Location) -> CommandResult {
    let archive = open(at).await?;
    let ids = given_ids(&archive, &args).await?;
    let inference = args.selection.scope.inference.as_deref();
    let query = narrow(&archive, args.selection.query(), ids.clone(), inference).await?;
    // A damaged delivery is found, and can be removed.
    let found = entries(&archive, query.clone()).await?;
    let missing = missing(&ids.unwrap_or_default(), &found);
    for id in &missing {
        console::error(&format!(
            "no delivery {id} in {archive} that the options select, or it was removed before"
        ));
    }
    if missing.is_empty() || !found.is_empty() {
        remove(at, vec![query], args.dry_run).await?;
    }
    Ok(code(missing.is_empty()))
}

/// The ids on the command line and in the file; None without any.
async fn given_ids(
    archive: &dyn Archive,
    args: &EraseArgs,
) -> Result<Option<Vec<DeliveryId>>, Box<dyn Error>> {
    let mut ids = resolve_ids(archive, &args.ids).await?;
    let Some(file) = &args.ids_file else {
        if ids.is_empty() && !args.selection.is_given() {
            let message = "missing selection; use an ID, --ids FILE, --inference, --model, --state, --pending, \
                           --settled, --since or --before";
            return Err(Failure::usage(message).into());
        }
        return Ok((!ids.is_empty()).then_some(ids));
    };
    ids.extend(ids_in(&Path::new(file).display().to_string(), &console::read(file)?)?);
    Ok(Some(ids))
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

/// Removes what the queries select, or prints it.
pub(crate) async fn remove(
    at: &Location,
    queries: Vec<Query>,
    dry_run: bool,
) -> Result<(), Box<dyn Error>> {
    if dry_run {
        return print_selected(at, "remove", queries).await;
    }
    let removed = apply(at, Change::Remove, queries).await?;
    console::result(&format!("removed {}", deliveries(removed.number())));
    Ok(())
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
