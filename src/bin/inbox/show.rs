//! `inbox show`: a delivery with its head, or its body.

use std::{
    error::Error,
    io::{self, Write},
};

use clap::Args;
use serde_json::{Value, json};
use tower_inbox::{
    DeliveryId,
    archive::{Archive, Archived, LedgerEntry, Query, StateChange},
};

use crate::{
    CommandResult, Failure,
    cli::after_help,
    console::{self, code, escape, escape_bytes, write_body},
    format::{self, json_help},
    location::{Location, open},
    select::{Selection, find_inference, is_prefix, narrow, resolve_ids, whole_id},
};

/// Show deliveries: state, head, or exact body
#[derive(Args, Debug)]
#[command(after_long_help = after_help!(json_help!(), "\
Further members:
  peer          string, the address and port of the client, or null
  proof         object: scheme, secret (its name), form, message_id (or null)
  method        string
  path          string
  query         string, without the values that prove the sender, or null
  version       string, such as HTTP/1.1
  headers       list of objects: name, and value, or value_hex if it is not UTF-8
  history       with --history: list of objects: at, and the members of the state

Examples:
  inbox show 01890a5d-ac96
  inbox show inv_1 --body | jq .
  inbox show --last 1 --history
  inbox show --state dead --since 1h --json

"))]
pub(crate) struct ShowArgs {
    /// The ids of the deliveries, unique prefixes of them, or provider's ids of inferences
    #[arg(value_name = "ID|KEY")]
    ids: Vec<String>,
    /// Show at most the latest N deliveries of those selected; 0 shows all
    ///
    /// Default: 50 with other conditions; required without.
    #[arg(short = 'n', long = "last", visible_alias = "limit", value_name = "N")]
    last: Option<usize>,
    /// Also show the changes of the state: each attempt with its time and result, as far as the archive has them
    #[arg(long)]
    history: bool,
    /// Write the exact bytes of the body of one delivery, and nothing else
    #[arg(long, conflicts_with_all = ["json", "history"])]
    body: bool,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    selection: Selection,
}

/// The number of deliveries that are shown without `--last`.
const LIMIT: usize = 50;

pub(crate) async fn run(args: ShowArgs, at: &Location) -> CommandResult {
    if args.ids.is_empty() && args.last.is_none() && !args.selection.is_given() {
        let message =
            "missing delivery; use an ID, --last N, or a condition such as --inference KEY";
        return Err(Failure::usage(message).into());
    }
    let archive = open(at).await?;
    let ids = selected(&archive, &args).await?;
    if args.body && ids.len() > 1 {
        let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
        let message = format!("--body writes one body, and {} deliveries match", ids.len());
        return Err(Failure::not_found(message).details(ids).into());
    }
    let (mut out, mut success) = (console::stdout(), true);
    for (place, id) in ids.into_iter().enumerate() {
        let Some(archived) = archive.get(id).await? else {
            success = false;
            report_missing(&archive, id).await?;
            continue;
        };
        if place > 0 && !args.json {
            writeln!(out)?;
        }
        let history = if args.history { archive.history(id).await? } else { None };
        show(&mut out, &archived, history.as_deref(), &args)?;
    }
    out.flush()?;
    Ok(code(success))
}

/// The ids of the deliveries to show: those of each word, or the latest that the conditions select.
async fn selected(
    archive: &dyn Archive,
    args: &ShowArgs,
) -> Result<Vec<DeliveryId>, Box<dyn Error>> {
    let query = args.selection.query();
    let inference = args.selection.scope.inference.as_deref();
    let mut named = Vec::new();
    for word in &args.ids {
        named.extend(named_by(archive, &query, word).await?);
    }
    if !args.ids.is_empty() && args.last.is_none() && !args.selection.is_given() {
        return Ok(named);
    }
    let ids = (!args.ids.is_empty()).then_some(named);
    let query = narrow(archive, query, ids, inference).await?;
    let entries = match args.last.unwrap_or(LIMIT) {
        0 => archive.latest(query, usize::MAX).await?,
        last => archive.latest(query, last).await?,
    };
    if entries.is_empty() {
        let message = format!("no delivery in {archive} matches");
        return Err(Failure::not_found(message).into());
    }
    Ok(entries.into_iter().rev().map(|entry| entry.id).collect())
}

/// The deliveries that a word names: an id, a key, or a unique prefix of an id, tried in this order.
async fn named_by(
    archive: &dyn Archive,
    query: &Query,
    word: &str,
) -> Result<Vec<DeliveryId>, Box<dyn Error>> {
    let id = whole_id(word);
    // The ids of some providers are UUIDs, too.
    if let Some(id) = id
        && archive.state(id).await?.is_some()
    {
        return Ok(vec![id]);
    }
    let found = find_inference(archive, query, word).await?;
    if !found.is_empty() {
        return Ok(found.iter().map(|entry: &LedgerEntry| entry.id).collect());
    }
    if id.is_none() && is_prefix(word) {
        return resolve_ids(archive, &[word.to_owned()]).await;
    }
    let message = format!("no delivery with the id or inference key '{word}' in {archive}");
    Err(Failure::not_found(message).into())
}

async fn report_missing(archive: &dyn Archive, id: DeliveryId) -> Result<(), Box<dyn Error>> {
    let state = archive.state(id).await?;
    let state = state.map(|state| format!("; its state is {}", format::state(&state)));
    console::error(&format!("delivery {id} was removed{}", state.unwrap_or_default()));
    Ok(())
}

fn show(
    out: &mut impl Write,
    archived: &Archived,
    history: Option<&[StateChange]>,
    args: &ShowArgs,
) -> io::Result<()> {
    if args.json {
        let mut object =
            format::merged(format::archived_object(archived), format::head_object(archived));
        if args.history {
            let changes =
                history.map(|changes| changes.iter().map(format::change_object).collect());
            object = format::merged(object, json!({ "history": changes.map(Value::Array) }));
        }
        console::json_line(out, &object)
    } else if args.body {
        out.flush()?;
        // Unfiltered: a body may contain escape sequences.
        write_body(&mut io::stdout().lock(), archived.delivery.body())
    } else {
        write_page(out, archived, history)
    }
}

fn write_page(
    out: &mut impl Write,
    archived: &Archived,
    history: Option<&[StateChange]>,
) -> io::Result<()> {
    let Archived { delivery, state, .. } = archived;
    let head = delivery.head();
    writeln!(out, "id         {}", delivery.id())?;
    writeln!(out, "model      {}", escape(delivery.model().as_str()))?;
    writeln!(out, "received   {}", format::time(delivery.received_at()))?;
    if let Some(peer) = head.peer() {
        writeln!(out, "peer       {peer}")?;
    }
    writeln!(out, "proof      {}", escape(&delivery.proof().to_string()))?;
    let style = format::style(state);
    writeln!(out, "state      {style}{}{style:#}", escape(&format::state(state)))?;
    if let Some(inference) = format::inference(state) {
        writeln!(out, "inference  {inference}")?;
    }
    writeln!(out, "sha256     {}", delivery.digest())?;
    writeln!(out, "bytes      {}", delivery.body().len())?;
    for change in history.unwrap_or_default() {
        let (style, state) = (format::style(&change.state), format::state(&change.state));
        writeln!(out, "history    {} {style}{}{style:#}", format::time(change.at), escape(&state))?;
    }
    writeln!(out)?;
    let uri = escape(&head.uri().to_string());
    writeln!(out, "{} {uri} {:?}", head.method(), head.version())?;
    for (name, value) in head.headers() {
        writeln!(out, "{name}: {}", escape_bytes(value.as_bytes()))?;
    }
    Ok(())
}
