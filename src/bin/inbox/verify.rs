use std::{
    io::{self, Write},
    process::ExitCode,
};

use serde_json::json;
use tower_inbox::archive::{DiskArchive, Verification};

use crate::{
    CommandResult,
    console::{self, ProgressBar},
    escape::{escape, json_text},
    options::Options,
};

pub(crate) async fn run(options: Options) -> CommandResult {
    let found = DiskArchive::verify(&options.archive, show(ProgressBar::of("bytes"))).await?;
    let mut out = io::stdout().lock();
    if options.has("json") {
        writeln!(out, "{}", json_text(&object(&found)))?;
    } else {
        print_damages(&mut out, &found)?;
        writeln!(out, "{}", summary(&found))?;
    }
    out.flush()?;
    Ok(if found.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints each damaged place.
pub(crate) fn print_damages(out: &mut impl Write, found: &Verification) -> io::Result<()> {
    for damage in &found.damages {
        let (offset, length) = (damage.offset, damage.length);
        let path = escape(&damage.path.display().to_string());
        if length == 0 {
            writeln!(out, "{path}: {}", damage.reason)?;
        } else {
            writeln!(out, "{path}: {length} bytes at byte {offset}: {}", damage.reason)?;
        }
    }
    Ok(())
}

fn summary(found: &Verification) -> String {
    let verdict = match found.damages.len() {
        0 => "sound".to_owned(),
        1 => "damaged in 1 place".to_owned(),
        places => format!("damaged in {places} places"),
    };
    let torn = match found.torn {
        0 => String::new(),
        torn => format!(
            "; {torn} bytes at the end are incomplete: being written, or truncated at the next start"
        ),
    };
    let deliveries = console::deliveries(found.deliveries);
    let (records, segments, bytes) = (found.records, found.segments, found.bytes);
    format!("{verdict}: {deliveries}, {records} records, {segments} segments, {bytes} bytes{torn}")
}

fn object(found: &Verification) -> serde_json::Value {
    let damages: Vec<_> = found
        .damages
        .iter()
        .map(|damage| {
            json!({
                "path": damage.path.display().to_string(),
                "offset": damage.offset,
                "length": damage.length,
                "reason": damage.reason,
            })
        })
        .collect();
    json!({
        "sound": found.is_sound(),
        "segments": found.segments,
        "records": found.records,
        "deliveries": found.deliveries,
        "bytes": found.bytes,
        "torn": found.torn,
        "damages": damages,
    })
}

fn show(mut bar: ProgressBar) -> impl FnMut(u64, u64) + Send + 'static {
    move |read, of| bar.show(read, of)
}
