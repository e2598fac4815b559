use std::{collections::HashSet, error::Error, io::Write, process::ExitCode};

use tower_inbox::{
    archive::{Archive, ArchiveError, DiskArchive, LedgerEntry, Query},
    delivery::StateKind,
};

use crate::{
    CommandResult,
    change::{Change, Changed, apply},
    console::deliveries,
    escape::escape,
    options::Options,
    state_text::text,
    time,
};

/// Makes dead, undecodable and failed deliveries pending.
pub(crate) async fn run(options: Options) -> CommandResult {
    let query = query(&options)?;
    let archive = DiskArchive::read_only(&options.archive).await?;
    let selected = retryable(&archive, query.clone()).await?;
    let found: HashSet<_> = selected.iter().map(|entry| entry.id).collect();
    let mut code = ExitCode::SUCCESS;
    for id in query.selected_ids().unwrap_or_default().iter().filter(|id| !found.contains(id)) {
        eprintln!("inbox: delivery {id} is not dead, undecodable or failed");
        code = ExitCode::FAILURE;
    }
    if options.has("dry-run") {
        let mut out = std::io::stdout().lock();
        selected.iter().try_for_each(|entry| writeln!(out, "{}", escape(&row(entry))))?;
        eprintln!("would retry {}", deliveries(selected.len() as u64));
    } else if !selected.is_empty() || options.ids.is_empty() {
        retry(&options, query).await?;
    }
    Ok(code)
}

fn query(options: &Options) -> Result<Query, Box<dyn Error>> {
    let query = options.selection.query();
    if !options.ids.is_empty() {
        return Ok(query.ids(options.ids.iter().copied()));
    }
    if options.selection.is_given() || options.has("all") {
        return Ok(query);
    }
    Err("missing selection; use an ID, --model, --state, --since, --before or --all".into())
}

async fn retryable(archive: &DiskArchive, query: Query) -> Result<Vec<LedgerEntry>, ArchiveError> {
    let (mut entries, mut found) = (archive.ledger(query), Vec::new());
    while let Some(entry) = entries.next().await {
        let entry = entry?;
        let kind = entry.state.kind();
        if matches!(kind, StateKind::Dead | StateKind::Undecodable | StateKind::Failed) {
            found.push(entry);
        }
    }
    Ok(found)
}

async fn retry(options: &Options, query: Query) -> Result<(), Box<dyn Error>> {
    match apply(&options.archive, Change::Retry, vec![query]).await? {
        Changed::Here(retried) => {
            eprintln!("requeued {}; processed when the server starts", deliveries(retried));
        }
        Changed::ByServer(retried) => {
            eprintln!("requeued {}; processed within seconds", deliveries(retried));
        }
    }
    Ok(())
}

fn row(entry: &LedgerEntry) -> String {
    let LedgerEntry { id, model, received_at, state, .. } = entry;
    format!("{id}  {}  {model}  {}", time::print(*received_at), text(state))
}
