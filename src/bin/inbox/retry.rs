use std::{error::Error, io::Write, process::ExitCode};

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
    let queries = queries(&options)?;
    let archive = DiskArchive::read_only(&options.archive).await?;
    let (mut selected, mut code) = (Vec::new(), ExitCode::SUCCESS);
    for (query, id) in queries.iter().zip(options.ids.iter().map(Some).chain([None])) {
        let found = retryable(&archive, query.clone()).await?;
        if let Some(id) = id.filter(|_| found.is_empty()) {
            eprintln!("inbox: delivery {id} is not dead, undecodable or failed");
            code = ExitCode::FAILURE;
        }
        selected.extend(found);
    }
    if options.has("dry-run") {
        let mut out = std::io::stdout().lock();
        selected.iter().try_for_each(|entry| writeln!(out, "{}", escape(&row(entry))))?;
        eprintln!("would retry {}", deliveries(selected.len() as u64));
    } else if !selected.is_empty() || options.ids.is_empty() {
        retry(&options, queries).await?;
    }
    Ok(code)
}

/// One query for each id, or one for the selection.
fn queries(options: &Options) -> Result<Vec<Query>, Box<dyn Error>> {
    let query = options.selection.query();
    if !options.ids.is_empty() {
        return Ok(options.ids.iter().map(|id| query.clone().id(*id)).collect());
    }
    if options.selection.is_given() || options.has("all") {
        return Ok(vec![query]);
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

async fn retry(options: &Options, queries: Vec<Query>) -> Result<(), Box<dyn Error>> {
    match apply(&options.archive, Change::Retry, queries).await? {
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
