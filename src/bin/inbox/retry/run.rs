use std::{error::Error, io::Write, process::ExitCode};

use tower_inbox::{
    Outcome,
    archive::{Archive, ArchiveError, DiskArchive, Line, Query},
    delivery::OutcomeKind,
};

use super::settle;
use crate::{Done, list::brief, options::Options, output::deliveries, time};

/// Has the dead, the undecodable and the failed handled again.
pub(crate) async fn run(options: Options) -> Done {
    let queries = queries(&options)?;
    // It is not to make an archive where there is none.
    let archive = DiskArchive::read_only(&options.archive).await?;
    let (mut selected, mut code) = (Vec::new(), ExitCode::SUCCESS);
    for (query, id) in queries.iter().zip(options.ids.iter().map(Some).chain([None])) {
        let found = found(&archive, query.clone()).await?;
        if let Some(id) = id.filter(|_| found.is_empty()) {
            eprintln!("inbox: {id} is no delivery that is dead, undecodable or failed");
            code = ExitCode::FAILURE;
        }
        selected.extend(found);
    }
    if options.has("dry-run") {
        let mut out = std::io::stdout().lock();
        selected.iter().try_for_each(|line| writeln!(out, "{}", row(line)))?;
        eprintln!("would have {} handled again", deliveries(selected.len() as u64));
    } else if !selected.is_empty() || options.ids.is_empty() {
        settle::retry(&options.archive, queries).await?;
    }
    Ok(code)
}

/// What is to be done: for each id, or for all that is selected.
fn queries(options: &Options) -> Result<Vec<Query>, Box<dyn Error>> {
    let query = options.selection.query();
    if !options.ids.is_empty() {
        return Ok(options.ids.iter().map(|id| query.clone().id(*id)).collect());
    }
    if options.selection.is_given() || options.has("all") {
        return Ok(vec![query]);
    }
    Err("which? Say inbox retry ID, --model NAME, --outcome WORD, --since TIME, --before TIME, or \
         --all"
        .into())
}

async fn found(archive: &DiskArchive, query: Query) -> Result<Vec<Line>, ArchiveError> {
    let (mut lines, mut found) = (archive.ledger(query), Vec::new());
    while let Some(line) = lines.next().await {
        let line = line?;
        if line.outcome.as_ref().is_some_and(can_be_retried) {
            found.push(line);
        }
    }
    Ok(found)
}

fn can_be_retried(outcome: &Outcome) -> bool {
    matches!(outcome.kind(), OutcomeKind::Dead | OutcomeKind::Undecodable | OutcomeKind::Failed)
}

fn row(line: &Line) -> String {
    let outcome = line.outcome.as_ref().map(brief).unwrap_or_default();
    format!("{}  {}  {}  {outcome}", line.id, time::print(line.received_at), line.model)
}
