use std::{
    io::{self, BufWriter, Write},
    process::ExitCode,
};

use serde_json::json;
use tower_inbox::{
    Outcome,
    archive::{Archive, DiskArchive, Line},
};

use crate::{Done, options::Options, time};

/// What its handler will not take, or cannot: one line each, with the reason in full.
pub(crate) async fn run(options: Options) -> Done {
    let archive = DiskArchive::read_only(&options.archive).await?;
    let mut out = BufWriter::new(io::stdout());
    let mut lines = archive.ledger(options.selection.query());
    while let Some(line) = lines.next().await {
        let line = line?;
        let Some(Outcome::Dead { reason, .. } | Outcome::Undecodable { reason }) = &line.outcome
        else {
            continue;
        };
        if options.has("json") {
            writeln!(out, "{}", object(&line, reason))?;
        } else {
            let (id, model, at) = (line.id, &line.model, time::print(line.received_at));
            writeln!(out, "{id}  {at}  {model}  {}: {reason}", kind(&line))?;
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn kind(line: &Line) -> &'static str {
    line.outcome.as_ref().map_or("pending", |outcome| outcome.kind().as_str())
}

fn object(line: &Line, reason: &str) -> serde_json::Value {
    json!({
        "id": line.id.to_string(),
        "received_at": time::print(line.received_at),
        "model": line.model.as_str(),
        "outcome": kind(line),
        "reason": reason,
    })
}
