//! `inbox stats`: numbers of deliveries, segments and bytes.

use std::{
    io::{self, Write},
    path::Path,
};

use clap::Args;
use serde_json::{Map, Value, json};
use tower_inbox::archive::Stats;

use crate::{
    CommandResult,
    cli::after_help,
    console::{self, code, escape},
    format,
    select::open,
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

Examples:
  inbox stats
  inbox stats --json | jq .states.dead

"))]
pub(crate) struct StatsArgs {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: StatsArgs, path: &Path) -> CommandResult {
    let stats = open(path).await?.stats().await?;
    let mut out = console::stdout();
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
