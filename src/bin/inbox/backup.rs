//! `inbox backup` and `inbox restore`.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use clap::Args;
use tower_inbox::archive::{Backup, DiskArchive, Restored};

use crate::{
    CommandResult,
    cli::after_help,
    console::{self, Progress, code, deliveries, escape},
    location::Location,
    verify::print_damages,
};

/// Copy the archive to a directory, also while a server writes
///
/// The directory must be new, empty, or an earlier backup of the same archive. The copy is verified. It has every
/// delivery that was acknowledged before the backup began. Repeat an interrupted backup.
///
/// Only segments that changed since the last backup are copied. Deliveries that were removed from the archive disappear
/// from the backup: run `inbox backup` again after `inbox erase`, to each directory that holds a backup. A damaged
/// segment does not replace an earlier copy that is sound.
///
/// A plain copy (`cp -a`, rsync) while a server writes can miss a segment, because segments are renamed.
///
/// All other commands can read a backup: `inbox list --archive TO`. Do not start a server with it: use `inbox restore`.
/// The exit status is 1 if a part of the archive or of the backup is damaged.
#[derive(Args, Debug)]
#[command(after_long_help = after_help!("\
Examples:
  inbox backup /mnt/backup/inbox
  inbox verify --archive /mnt/backup/inbox

"))]
pub(crate) struct BackupArgs {
    /// The directory of the backup
    to: PathBuf,
}

pub(crate) async fn backup(args: BackupArgs, at: &Location) -> CommandResult {
    let path = at.directory("use pg_basebackup, pg_dump, or 'inbox copy --to DIR'")?;
    let done = DiskArchive::backup(path, &args.to, progress()).await?;
    let mut out = console::stdout();
    print_damages(&mut out, &done.verification)?;
    for path in &done.kept {
        console::warn(&format!(
            "{} is damaged, and the backup keeps its earlier copy, with the deliveries that were removed since then",
            path.display()
        ));
    }
    writeln!(out, "{}", escape(&summary(&done, &args.to)))?;
    out.flush()?;
    Ok(code(done.is_sound()))
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

/// Copy a backup to the new directory of an archive
///
/// The directory of the archive must be new or empty. The copy is verified, and the backup is not changed. Run the
/// command as the user of the server. Repeat an interrupted restore.
///
/// Deliveries that were erased after the backup are in the archive again: erase them again. The exit status is 1 if a
/// part of the archive is damaged, or if the last backup was interrupted.
#[derive(Args, Debug)]
#[command(after_long_help = after_help!("\
Examples:
  inbox restore /mnt/backup/inbox --archive /var/lib/inbox-new

"))]
pub(crate) struct RestoreArgs {
    /// The directory of the backup
    from: PathBuf,
}

pub(crate) async fn restore(args: RestoreArgs, at: &Location) -> CommandResult {
    let path = at.directory("use pg_restore, or 'inbox copy --from DIR'")?;
    let Restored { segments, bytes, is_interrupted, verification, .. } =
        DiskArchive::restore(&args.from, path, progress()).await?;
    let mut out = console::stdout();
    print_damages(&mut out, &verification)?;
    let state = if verification.is_sound() { "sound" } else { "damaged" };
    let (deliveries, path) = (deliveries(verification.deliveries), path.display().to_string());
    writeln!(
        out,
        "restored {deliveries} into {}: {state}, {segments} segments, {bytes} bytes",
        escape(&path)
    )?;
    writeln!(out, "{NEXT}")?;
    out.flush()?;
    if is_interrupted {
        console::warn(
            "the last backup was interrupted: the restored archive is the backup before, with some more recent \
             segments, or incomplete if there was none before",
        );
    }
    Ok(code(verification.is_sound() && !is_interrupted))
}

const NEXT: &str = "\
Next:
- Repeat each erasure since the backup: the erased deliveries are in the archive again.
- Check that the directory belongs to the user of the server, then start the server with it. Pending
  deliveries are processed, also those that were processed after the backup.
- Have the providers resend the deliveries that were received after the backup.";

fn progress() -> impl FnMut(u64, u64) + Send + 'static {
    let bar = Progress::of_bytes();
    move |done, of| bar.show(done, of)
}
