//! `inbox stats`: numbers of deliveries, segments and bytes.

use std::io::{self, Write};

use clap::Args;
use serde_json::{Map, Value, json};
use tower_inbox::archive::Stats;
#[cfg(feature = "postgres")]
use tower_inbox::{
    archive::{Archive, Counts, DatabaseSize, Node},
    delivery::StateKind,
};

use crate::{
    CommandResult,
    cli::after_help,
    console::{self, code, escape},
    format,
    location::{Location, open_directory},
};

/// The states of segments, in the order of [`Stats::segments`].
const SEGMENT_STATES: [&str; 3] = ["active", "sealed", "compressed"];

/// Count deliveries by state and model, segments, and bytes
#[derive(Args, Debug)]
#[command(after_long_help = after_help!("\
JSON members:
  deliveries    number of deliveries with a body
  removed       number of removed deliveries that are still recognized as repeats
  received      object: first and last, the times of receipt; or null
  states        object: number of deliveries by state; only those that occur, and pending
  models        object: number of deliveries by model
  segments      object: active, sealed and compressed, each with segments and bytes

On PostgreSQL, removed, received and segments are null, and four more members:
  bytes         size of the tables and indexes
  body_bytes    of these, those of heads and bodies
  ledger_bytes  of these, those of the ledger and of all other tables
  nodes         list of objects: name, version, running_s, and silent_s, the seconds
                since the last report; nodes report every 10 s

Examples:
  inbox stats
  inbox stats --json | jq .states.dead

"))]
pub(crate) struct StatsArgs {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: StatsArgs, at: &Location) -> CommandResult {
    let mut out = console::stdout();
    let stats = match at {
        Location::Directory(path) => open_directory(path).await?.stats().await?,
        #[cfg(feature = "postgres")]
        Location::Database(database) => {
            let archive = database.open().await?;
            let (counts, size) = (archive.counts().await?, archive.size().await?);
            let nodes = archive.nodes().await?;
            if args.json {
                console::json_line(&mut out, &counts_object(&counts, size, &nodes))?;
            } else {
                write_counts(&mut out, &counts, size)?;
                write_nodes(&mut out, &nodes)?;
            }
            out.flush()?;
            return Ok(code(true));
        }
    };
    if args.json {
        console::json_line(&mut out, &object(&stats))?;
    } else {
        write_page(&mut out, &stats)?;
    }
    out.flush()?;
    Ok(code(true))
}

fn write_page(page: &mut impl Write, stats: &Stats) -> io::Result<()> {
    writeln!(page, "{:>12}  deliveries", stats.deliveries)?;
    if let Some((first, last)) = stats.received {
        let (first, last) = (format::time(first), format::time(last));
        writeln!(page, "{:>12}  received from {first} to {last}", "")?;
    }
    writeln!(page, "{:>12}  pending", stats.pending)?;
    for (state, count) in &stats.outcomes {
        writeln!(page, "{count:>12}  {state}")?;
    }
    writeln!(page, "{:>12}  removed, still recognized as repeats", stats.removed)?;
    for (model, count) in &stats.models {
        writeln!(page, "{count:>12}  for {}", escape(model.as_str()))?;
    }
    for ((state, segments), bytes) in SEGMENT_STATES.iter().zip(stats.segments).zip(stats.bytes) {
        writeln!(page, "{bytes:>12}  bytes in {segments} {state} segments")?;
    }
    Ok(())
}

fn object(stats: &Stats) -> Value {
    let models = stats.models.iter().map(|(model, count)| (model.to_string(), json!(count)));
    let outcomes = stats.outcomes.iter().map(|(state, count)| (*state, *count));
    let by_state = [("pending", stats.pending)].into_iter().chain(outcomes);
    let by_state = by_state.map(|(state, count)| (state.to_owned(), json!(count)));
    let segments = SEGMENT_STATES.iter().zip(stats.segments).zip(stats.bytes);
    let segments = segments.map(|((state, segments), bytes)| {
        ((*state).to_owned(), json!({ "segments": segments, "bytes": bytes }))
    });
    let received = stats
        .received
        .map(|(first, last)| json!({ "first": format::time(first), "last": format::time(last) }));
    json!({
        "deliveries": stats.deliveries,
        "received": received,
        "states": by_state.collect::<Map<_, _>>(),
        "removed": stats.removed,
        "models": models.collect::<Map<_, _>>(),
        "segments": segments.collect::<Map<_, _>>(),
    })
}

#[cfg(feature = "postgres")]
fn write_counts(page: &mut impl Write, counts: &Counts, size: DatabaseSize) -> io::Result<()> {
    writeln!(page, "{:>12}  deliveries", all_deliveries(counts))?;
    for (kind, count) in by_state(counts) {
        writeln!(page, "{count:>12}  {kind}")?;
    }
    for (model, count) in by_model(counts) {
        writeln!(page, "{count:>12}  for {}", escape(&model))?;
    }
    writeln!(page, "{:>12}  bytes in heads and bodies", size.bodies)?;
    writeln!(page, "{:>12}  bytes in the ledger and other tables", size.ledger)
}

#[cfg(feature = "postgres")]
fn write_nodes(page: &mut impl Write, nodes: &[Node]) -> io::Result<()> {
    for Node { name, version, running_for, silent_for, .. } in nodes {
        let (running, silent) = (running_for.as_secs(), silent_for.as_secs());
        let (name, version) = (escape(name), escape(version));
        writeln!(
            page,
            "{:>12}  {name}, version {version}, running for {running} s, last report {silent} s ago",
            "node"
        )?;
    }
    Ok(())
}

#[cfg(feature = "postgres")]
fn counts_object(counts: &Counts, size: DatabaseSize, nodes: &[Node]) -> Value {
    let nodes = nodes.iter().map(|node| {
        json!({
            "name": node.name,
            "version": node.version,
            "running_s": node.running_for.as_secs(),
            "silent_s": node.silent_for.as_secs(),
        })
    });
    let states = by_state(counts).map(|(kind, count)| (kind.to_string(), json!(count)));
    let models = by_model(counts).map(|(model, count)| (model, json!(count)));
    json!({
        "deliveries": all_deliveries(counts),
        "received": null,
        "states": states.collect::<Map<_, _>>(),
        "removed": null,
        "models": models.collect::<Map<_, _>>(),
        "segments": null,
        "bytes": size.all(),
        "body_bytes": size.bodies,
        "ledger_bytes": size.ledger,
        "nodes": nodes.collect::<Value>(),
    })
}

#[cfg(feature = "postgres")]
fn all_deliveries(counts: &Counts) -> u64 {
    counts.iter().map(|(_, _, count)| count).sum()
}

/// The states that occur, and pending.
#[cfg(feature = "postgres")]
fn by_state(counts: &Counts) -> impl Iterator<Item = (StateKind, u64)> {
    let counted = StateKind::ALL.into_iter().map(|kind| (kind, counts.of_all(kind)));
    counted.filter(|(kind, count)| *kind == StateKind::Pending || *count > 0)
}

#[cfg(feature = "postgres")]
fn by_model(counts: &Counts) -> impl Iterator<Item = (String, u64)> {
    counts.models().map(|model| {
        let of_model = StateKind::ALL.into_iter().map(|kind| counts.of(model, kind));
        (model.to_string(), of_model.sum())
    })
}
