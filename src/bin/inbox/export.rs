use std::{
    error::Error,
    fs::{self, File},
    io::{self, BufWriter},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tower_inbox::archive::{ArchiveError, DiskArchive, Query};

use crate::{
    CommandResult,
    console::{self, deliveries},
    options::Options,
    remove::print_selected,
};

pub(crate) async fn run(options: Options) -> CommandResult {
    let query = options.selection.query();
    if options.has("dry-run") {
        return print_selected(&options.archive, "export", vec![query]).await;
    }
    let archive = DiskArchive::read_only(&options.archive).await?;
    let skipped = Arc::new(AtomicBool::new(false));
    let written = match &options.into {
        None => archive.export(query, io::stdout(), report(&skipped)).await?,
        Some(path) => {
            let file = File::create_new(path)
                .map_err(|error| format!("cannot create {}: {error}", path.display()))?;
            let written = into_file(&archive, query, file, report(&skipped)).await;
            // A partial file looks like a complete one, and would make the next try fail.
            written.inspect_err(|_| drop(fs::remove_file(path)))?
        }
    };
    eprintln!("exported {}", deliveries(written));
    let all = !skipped.load(Ordering::Relaxed);
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn into_file(
    archive: &DiskArchive,
    query: Query,
    file: File,
    unreadable: impl FnMut(ArchiveError) + Send + 'static,
) -> Result<u64, Box<dyn Error>> {
    let written = archive.export(query, BufWriter::new(file.try_clone()?), unreadable).await?;
    file.sync_all()?;
    Ok(written)
}

/// Prints each delivery that cannot be read, and records that there was one.
fn report(skipped: &Arc<AtomicBool>) -> impl FnMut(ArchiveError) + Send + 'static {
    let skipped = Arc::clone(skipped);
    move |error| {
        console::report(&error.to_string());
        skipped.store(true, Ordering::Relaxed);
    }
}
