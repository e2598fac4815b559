//! `inbox export`: writes deliveries to one WARC file.

use std::{
    error::Error,
    fs::{self, File},
    io::{self, BufWriter},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use clap::Args;
use tower_inbox::archive::{Archive, ArchiveError, DiskArchive, Query};

use crate::{
    CommandResult,
    change::print_selected,
    cli::after_help,
    console::{self, code, deliveries},
    location::{Location, open},
    select::{Selection, narrow},
};

/// Write deliveries and their states to one WARC file
///
/// Deliveries that cannot be read are reported and left out, and the exit status is 1.
#[derive(Args, Debug)]
#[command(after_long_help = after_help!("\
Examples:
  inbox export --since 2026-01-01 --before 2026-02-01 --into january.warc
  inbox export --state dead | gzip > dead.warc.gz

"))]
pub(crate) struct ExportArgs {
    /// The file to create, which must not exist; default: standard output
    #[arg(long, value_name = "FILE")]
    into: Option<PathBuf>,
    /// Print the number of deliveries, and write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    selection: Selection,
}

pub(crate) async fn run(args: ExportArgs, at: &Location) -> CommandResult {
    let archive = open(at).await?;
    let inference = args.selection.scope.inference.as_deref();
    let query = narrow(&archive, args.selection.query(), None, inference).await?;
    if args.dry_run {
        print_selected(at, "export", vec![query]).await?;
        return Ok(code(true));
    }
    let skipped = Arc::new(AtomicBool::new(false));
    let written = match &args.into {
        None => {
            DiskArchive::write_warc(archive.scan(query), io::stdout(), report(&skipped)).await?
        }
        Some(path) => {
            let file = File::create_new(path)
                .map_err(|error| format!("cannot create {}: {error}", path.display()))?;
            let written = into_file(&archive, query, file, report(&skipped)).await;
            // A partial file looks like a complete one, and would make the next try fail.
            written.inspect_err(|_| drop(fs::remove_file(path)))?
        }
    };
    console::result(&format!("exported {}", deliveries(written)));
    Ok(code(!skipped.load(Ordering::Relaxed)))
}

async fn into_file(
    archive: &dyn Archive,
    query: Query,
    file: File,
    unreadable: impl FnMut(ArchiveError) + Send + 'static,
) -> Result<u64, Box<dyn Error>> {
    let written =
        DiskArchive::write_warc(archive.scan(query), BufWriter::new(file.try_clone()?), unreadable)
            .await?;
    file.sync_all()?;
    Ok(written)
}

/// Prints each delivery that cannot be read, and records that there was one.
fn report(skipped: &Arc<AtomicBool>) -> impl FnMut(ArchiveError) + Send + 'static {
    let skipped = Arc::clone(skipped);
    move |error| {
        console::error(&error.to_string());
        skipped.store(true, Ordering::Relaxed);
    }
}
