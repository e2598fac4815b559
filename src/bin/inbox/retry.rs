//! `inbox retry`: requeues dead, undecodable and failed deliveries.

use std::error::Error;

use clap::Args;
use tower_inbox::{
    archive::{Archive, ArchiveError, LedgerEntry, Query},
    delivery::StateKind,
};

use crate::{
    CommandResult, Failure,
    change::{Change, Changed, apply},
    cli::after_help,
    console::{self, code, deliveries},
    format::{self, Table},
    location::{Location, open},
    select::{Scope, entries, missing, narrow, resolve_ids, state_parser},
};

/// Process dead, undecodable or failed deliveries again
///
/// Requeues them, and resets their attempts. A running server processes them within seconds; otherwise they are
/// processed when it starts. The exit status is 1 if one of the IDs is in another state.
#[derive(Args, Debug)]
#[command(after_long_help = after_help!("\
Examples:
  inbox retry 01890a5d-ac96
  inbox retry --state undecodable --model /hooks/invoices
  inbox retry --all --dry-run

"))]
pub(crate) struct RetryArgs {
    /// The ids of the deliveries, or unique prefixes of them
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// Print the deliveries, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Requeue all dead, undecodable and failed deliveries
    #[arg(long, help_heading = "Selection", conflicts_with = "ids")]
    all: bool,
    /// Only deliveries in this state
    #[arg(long, value_name = "STATE", help_heading = "Selection", value_parser = state_parser(&RETRYABLE))]
    state: Option<StateKind>,
    #[command(flatten)]
    scope: Scope,
}

/// The states from which a delivery can be requeued.
const RETRYABLE: [StateKind; 3] = [StateKind::Dead, StateKind::Undecodable, StateKind::Failed];

pub(crate) async fn run(args: RetryArgs, at: &Location) -> CommandResult {
    let has_ids = !args.ids.is_empty();
    if !has_ids && !args.all && args.state.is_none() && !args.scope.is_given() {
        let message = "missing selection; use an ID, --all, --model, --state, --since, --before or --inference";
        return Err(Failure::usage(message).into());
    }
    let archive = open(at).await?;
    let ids = resolve_ids(&archive, &args.ids).await?;
    let query = args.state.into_iter().fold(args.scope.query(), Query::state);
    let inference = args.scope.inference.as_deref();
    let query = narrow(&archive, query, has_ids.then(|| ids.clone()), inference).await?;
    let selected = retryable(&archive, query.clone()).await?;
    let missing = missing(&ids, &selected);
    for id in &missing {
        console::error(&format!("delivery {id} is not dead, undecodable or failed"));
    }
    if args.dry_run {
        print(&selected)?;
    } else if !selected.is_empty() || !has_ids {
        retry(at, query).await?;
    }
    Ok(code(missing.is_empty()))
}

async fn retryable(archive: &dyn Archive, query: Query) -> Result<Vec<LedgerEntry>, ArchiveError> {
    let mut found = entries(archive, query).await?;
    found.retain(|entry| RETRYABLE.contains(&entry.state.kind()));
    Ok(found)
}

async fn retry(at: &Location, query: Query) -> Result<(), Box<dyn Error>> {
    let result = match apply(at, Change::Retry, vec![query]).await? {
        Changed::Here(retried) => {
            format!("requeued {}; processed when the server starts", deliveries(retried))
        }
        #[cfg(feature = "postgres")]
        Changed::InDatabase(retried) => {
            format!("requeued {}; running servers process them within seconds", deliveries(retried))
        }
        Changed::ByServer(retried) => {
            format!("requeued {}; processed within seconds", deliveries(retried))
        }
    };
    console::result(&result);
    Ok(())
}

fn print(selected: &[LedgerEntry]) -> std::io::Result<()> {
    let (mut out, mut table) =
        (console::stdout(), Table::new(["ID", "RECEIVED", "MODEL", "STATE"]));
    for entry in selected {
        let LedgerEntry { id, model, received_at, state, .. } = entry;
        let time = format::time(*received_at);
        let cells = [id.to_string(), time, model.to_string(), format::state(state)];
        table.row(&mut out, cells, format::style(state))?;
    }
    table.flush(&mut out)?;
    console::result(&format!("would retry {}", deliveries(selected.len() as u64)));
    Ok(())
}
