use std::{
    io::{self, Write},
    process::ExitCode,
};

use serde_json::json;
use tower_inbox::archive::{DiskArchive, Stats};

use crate::{Done, options::Options, output, time};

/// The forms of segments, in the order of [`Stats::segments`].
const FORMS: [&str; 3] = ["open", "sealed", "compressed"];

pub(crate) async fn run(options: Options) -> Done {
    let stats = DiskArchive::read_only(&options.archive).await?.stats().await?;
    if options.has("json") {
        return output::line(&object(&stats).to_string());
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
    for (outcome, count) in &stats.outcomes {
        writeln!(page, "{count:>12}  {outcome}")?;
    }
    writeln!(page, "{:>12}  removed, known by id and digest", stats.removed)?;
    for (model, count) in &stats.models {
        writeln!(page, "{count:>12}  for {model}")?;
    }
    for ((form, segments), bytes) in FORMS.iter().zip(stats.segments).zip(stats.bytes) {
        writeln!(page, "{bytes:>12}  bytes in {segments} {form} segments")?;
    }
    Ok(())
}

fn object(stats: &Stats) -> serde_json::Value {
    let models = stats.models.iter().map(|(model, count)| (model.as_str(), json!(count)));
    let forms = FORMS.iter().zip(stats.segments).zip(stats.bytes);
    let segments = forms.map(|((form, segments), bytes)| {
        ((*form).to_owned(), json!({ "segments": segments, "bytes": bytes }))
    });
    json!({
        "deliveries": stats.deliveries,
        "received": stats.received.map(|(first, last)| [time::print(first), time::print(last)]),
        "pending": stats.pending,
        "outcomes": stats.outcomes,
        "removed": stats.removed,
        "models": models.map(|(model, count)| (model.to_owned(), count)).collect::<serde_json::Map<_, _>>(),
        "segments": segments.collect::<serde_json::Map<_, _>>(),
    })
}
