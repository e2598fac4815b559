use std::{
    io::{self, Write},
    process::ExitCode,
};

use serde_json::{Map, Value, json};
use tower_inbox::archive::{DiskArchive, Stats};

use crate::{
    CommandResult, console,
    escape::{escape, json_text},
    options::Options,
    time,
};

/// The states of segments, in the order of [`Stats::segments`].
const SEGMENT_STATES: [&str; 3] = ["active", "sealed", "compressed"];

pub(crate) async fn run(options: Options) -> CommandResult {
    let stats = DiskArchive::read_only(&options.archive).await?.stats().await?;
    if options.has("json") {
        return console::line(&json_text(&object(&stats)));
    }
    let mut page = Vec::new();
    write_page(&mut page, &stats)?;
    io::stdout().write_all(&page)?;
    Ok(ExitCode::SUCCESS)
}

fn write_page(page: &mut impl Write, stats: &Stats) -> io::Result<()> {
    writeln!(page, "{:>12}  deliveries", stats.deliveries)?;
    if let Some((first, last)) = stats.received {
        writeln!(
            page,
            "{:>12}  received from {} to {}",
            "",
            time::print(first),
            time::print(last)
        )?;
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
    json!({
        "deliveries": stats.deliveries,
        "received": stats.received.map(|(first, last)| [time::print(first), time::print(last)]),
        "states": by_state.collect::<Map<_, _>>(),
        "removed": stats.removed,
        "models": models.collect::<Map<_, _>>(),
        "segments": segments.collect::<Map<_, _>>(),
    })
}
