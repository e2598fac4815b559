//! `inbox backup` and `inbox restore`.

use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use tower_inbox::archive::{Backup, DiskArchive, Restored};

use crate::{
    CommandResult,
    console::{self, ProgressBar, deliveries},
    escape::escape,
    options::Options,
    verify::print_damages,
};

pub(crate) async fn backup(options: Options) -> CommandResult {
    let to = Path::new(options.operand(0, "directory of the backup")?);
    let done = DiskArchive::backup(&options.archive, to, progress()).await?;
    let mut out = io::stdout().lock();
    print_damages(&mut out, &done.verification)?;
    for path in &done.kept {
        console::report(&format!(
            "{} is damaged, and the backup keeps its earlier copy; what was removed from it since then is still in \
             the backup",
            path.display()
        ));
    }
    writeln!(out, "{}", escape(&summary(&done, to)))?;
    out.flush()?;
    Ok(if done.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn summary(done: &Backup, to: &Path) -> String {
    let Backup { copied, bytes, unchanged, removed, verification, .. } = done;
    let state = if verification.is_sound() { "sound" } else { "damaged" };
    format!(
        "backup of {} in {} is {state}: {copied} segments copied ({bytes} bytes), {unchanged} unchanged, {removed} \
         removed",
        deliveries(verification.deliveries),
        to.display()
    )
}

pub(crate) async fn restore(options: Options) -> CommandResult {
    let from = Path::new(options.operand(0, "directory of the backup")?);
    let to = &options.archive;
    let Restored { segments, bytes, is_interrupted, verification, .. } =
        DiskArchive::restore(from, to, progress()).await?;
    let mut out = io::stdout().lock();
    print_damages(&mut out, &verification)?;
    let state = if verification.is_sound() { "sound" } else { "damaged" };
    let (deliveries, path) = (deliveries(verification.deliveries), to.display().to_string());
    writeln!(
        out,
        "restored {deliveries} into {}: {state}, {segments} segments, {bytes} bytes",
        escape(&path)
    )?;
    writeln!(out, "{NEXT}")?;
    out.flush()?;
    if is_interrupted {
        console::report(
            "the last backup was interrupted: the restored archive is the backup before, with some more recent \
             segments, or incomplete if there was none before",
        );
    }
    let is_whole = verification.is_sound() && !is_interrupted;
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

const NEXT: &str = "\
Next:
- Erase again what was erased after the backup: its bytes are back.
- Check that the directory belongs to the user of the server, then start the server with it. Pending
  deliveries are processed, also those that were processed after the backup.
- Have the providers send again what was received after the backup.";

fn progress() -> impl FnMut(u64, u64) + Send + 'static {
    let mut bar = ProgressBar::of("bytes");
    move |done, of| bar.show(done, of)
}
