//! `inbox list` and `inbox dead`: one line for each delivery.

use std::{
    error::Error,
    io::{self, BufWriter, Write},
    process::ExitCode,
};

use serde_json::{Value, json};
use tower_inbox::{
    archive::{Archive, ArchiveError, Archived, DiskArchive, LedgerEntry},
    delivery::StateKind,
};

use crate::{
    CommandResult, console,
    escape::{escape, json_text},
    lookup,
    options::Options,
    state_text::{inference, text, with_state},
    time,
};

/// How many deliveries are listed unless `--limit` is given.
const LIMIT: usize = 50;

pub(crate) async fn list(options: Options) -> CommandResult {
    let archive = DiskArchive::read_only(&options.archive).await?;
    let query = options.selection.query();
    let mut list = List::new(BufWriter::new(io::stdout()), options.has("json"))?;
    if let Some(key) = options.value("inference") {
        for entry in lookup::find(&archive, &query, key).await? {
            if let Some(archived) = archive.get(entry.id).await.transpose() {
                list.write(archived)?;
            }
        }
    } else if let Some(most) = limit(&options)? {
        let mut latest = archive.latest(query, most + 1).await?;
        if latest.len() > most {
            latest.truncate(most);
            console::report(&format!("these are the latest {most}; '--limit 0' lists all"));
        }
        for entry in latest.into_iter().rev() {
            if let Some(archived) = archive.get(entry.id).await.transpose() {
                list.write(archived)?;
            }
        }
    } else {
        let mut found = archive.scan(query);
        while let Some(archived) = found.next().await {
            list.write(archived)?;
        }
    }
    list.finish()
}

/// How many deliveries are listed at most; None for all.
fn limit(options: &Options) -> Result<Option<usize>, Box<dyn Error>> {
    let limit = match options.value("limit") {
        Some(number) => number.parse().map_err(|_| format!("'{number}' is not a number"))?,
        None => LIMIT,
    };
    Ok(Some(limit).filter(|limit| *limit > 0))
}

/// Writes deliveries as a table, or as one JSON object a line.
pub(crate) struct List<W> {
    out: W,
    is_json: bool,
    code: ExitCode,
}

impl<W: Write> List<W> {
    pub(crate) fn new(mut out: W, is_json: bool) -> io::Result<Self> {
        if !is_json {
            writeln!(out, "{:36}  {:24}  {:>10}  MODEL  STATE", "ID", "RECEIVED", "BYTES")?;
        }
        Ok(Self { out, is_json, code: ExitCode::SUCCESS })
    }

    /// Writes a delivery, or reports to standard error that it cannot be read.
    pub(crate) fn write(&mut self, archived: Result<Archived, ArchiveError>) -> io::Result<()> {
        match archived {
            Ok(archived) if self.is_json => writeln!(self.out, "{}", json_text(&object(&archived))),
            Ok(archived) => writeln!(self.out, "{}", escape(&row(&archived))),
            Err(error) => {
                console::report(&error.to_string());
                self.code = ExitCode::FAILURE;
                Ok(())
            }
        }
    }

    /// Fails if any delivery could not be read.
    pub(crate) fn finish(mut self) -> CommandResult {
        self.out.flush()?;
        Ok(self.code)
    }
}

/// A delivery without its body.
pub(crate) fn object(archived: &Archived) -> Value {
    let Archived { delivery, state, .. } = archived;
    let object = json!({
        "id": delivery.id().to_string(),
        "received_at": time::print(delivery.received_at()),
        "bytes": delivery.body().len(),
        "sha256": delivery.digest().to_string(),
        "model": delivery.model().as_str(),
    });
    with_state(object, state)
}

fn row(archived: &Archived) -> String {
    let Archived { delivery, state, .. } = archived;
    let received_at = time::print(delivery.received_at());
    let (bytes, state) = (delivery.body().len(), text(state));
    format!("{}  {received_at}  {bytes:>10}  {}  {state}", delivery.id(), delivery.model())
}

pub(crate) async fn dead(options: Options) -> CommandResult {
    let archive = DiskArchive::read_only(&options.archive).await?;
    let mut out = BufWriter::new(io::stdout());
    let mut entries = archive.ledger(options.selection.query());
    while let Some(entry) = entries.next().await {
        let entry = entry?;
        match entry.state.kind() {
            StateKind::Dead | StateKind::Undecodable if options.has("json") => {
                writeln!(out, "{}", json_text(&dead_object(&entry)))?;
            }
            StateKind::Dead | StateKind::Undecodable => {
                writeln!(out, "{}", escape(&dead_row(&entry)))?;
            }
            _ => {}
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn dead_row(entry: &LedgerEntry) -> String {
    let LedgerEntry { id, model, received_at, state, .. } = entry;
    let inference = inference(state).unwrap_or_else(|| "-".to_owned());
    format!("{id}  {}  {model}  {inference:24}  {}", time::print(*received_at), text(state))
}

fn dead_object(entry: &LedgerEntry) -> Value {
    let object = json!({
        "id": entry.id.to_string(),
        "received_at": time::print(entry.received_at),
        "model": entry.model.as_str(),
    });
    with_state(object, &entry.state)
}
