use std::{
    io::{self, BufWriter, Write},
    process::ExitCode,
};

use serde_json::{Value, json};
use tower_inbox::{
    Outcome,
    archive::{Archive, Archived, DiskArchive},
};

use crate::{Done, options::Options, time};

pub(crate) async fn run(options: Options) -> Done {
    let archive = DiskArchive::read_only(&options.archive).await?;
    let mut out = BufWriter::new(io::stdout());
    if !options.has("json") {
        writeln!(out, "{:36}  {:24}  {:>10}  MODEL  OUTCOME", "ID", "RECEIVED", "BYTES")?;
    }
    let mut code = ExitCode::SUCCESS;
    let mut found = archive.scan(options.selection.query());
    while let Some(archived) = found.next().await {
        match archived {
            Ok(archived) if options.has("json") => writeln!(out, "{}", object(&archived))?,
            Ok(archived) => writeln!(out, "{}", row(&archived))?,
            Err(error) => {
                eprintln!("inbox: {error}");
                code = ExitCode::FAILURE;
            }
        }
    }
    out.flush()?;
    Ok(code)
}

/// One delivery without its body.
pub(crate) fn object(archived: &Archived) -> Value {
    let Archived { delivery, outcome, .. } = archived;
    json!({
        "id": delivery.id().to_string(),
        "received_at": time::print(delivery.received_at()),
        "bytes": delivery.body().len(),
        "sha256": delivery.digest().to_string(),
        "model": delivery.model().as_str(),
        "outcome": outcome.as_ref().map_or("pending", |outcome| outcome.kind().as_str()),
        "outcome_details": outcome.as_ref().map(ToString::to_string),
    })
}

/// Without what stands for the inference, which tells nobody anything.
pub(crate) fn brief(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Processed { status, .. } => Outcome::processed(*status).to_string(),
        outcome => outcome.to_string(),
    }
}

fn row(archived: &Archived) -> String {
    let Archived { delivery, outcome, .. } = archived;
    let outcome = outcome.as_ref().map_or_else(|| "pending".to_owned(), brief);
    let received_at = time::print(delivery.received_at());
    let bytes = delivery.body().len();
    format!("{}  {received_at}  {bytes:>10}  {}  {outcome}", delivery.id(), delivery.model())
}
