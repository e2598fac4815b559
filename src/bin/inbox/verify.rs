//! `inbox verify`: reads the whole archive and checks it.

use std::io::{self, Write};

use clap::Args;
use serde_json::{Value, json};
use tower_inbox::archive::{DiskArchive, Verification};

use crate::{
    CommandResult,
    cli::after_help,
    console::{self, Progress, code, escape},
    location::Location,
};

/// Read the whole archive, and check every checksum and digest
///
/// Prints each damaged place. The exit status is 1 if there is one, and 2 if the directory is not an archive.
#[derive(Args, Debug)]
#[command(after_long_help = after_help!("\
JSON members:
  sound         boolean, true without damage
  segments, records, deliveries, bytes
                numbers of segments, records, deliveries and bytes read
  torn          number of incomplete bytes at the end: being written, or truncated at the next start
  damages       list of objects: path, offset, length (0 if it concerns the whole file), reason

Examples:
  inbox verify
  inbox verify --archive /mnt/backup/inbox --json | jq .sound

"))]
pub(crate) struct VerifyArgs {
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: VerifyArgs, at: &Location) -> CommandResult {
    let path =
        at.directory("check backups by restoring them, and turn on data checksums (initdb -k)")?;
    let bar = Progress::of_bytes();
    let found = DiskArchive::verify(path, move |read, of| bar.show(read, of)).await?;
    let mut out = console::stdout();
    if args.json {
        console::json_line(&mut out, &object(&found))?;
    } else {
        print_damages(&mut out, &found)?;
        writeln!(out, "{}", summary(&found))?;
    }
    out.flush()?;
    Ok(code(found.is_sound()))
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

fn object(found: &Verification) -> Value {
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
