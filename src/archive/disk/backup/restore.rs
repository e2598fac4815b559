//! Restores a backup into a new directory.

use std::{collections::BTreeSet, ffi::OsString, path::Path, time::Duration};

use super::{
    Source, commit, is_consistent, lock_backup,
    manifest::{Manifest, is_of_backup},
    refusal, segments, total,
};
use crate::archive::{
    ArchiveError,
    disk::{
        DiskArchive, background,
        format::name::SegmentName,
        fs::{
            file_system::{Failure, FileSystem},
            lock::{acquire, lock_path},
            real_disk::RealDisk,
        },
        maintain::inventory::copy_manifest,
        read::{
            listing::Listing,
            verify::{Verification, verify},
        },
    },
};

/// The result of [`DiskArchive::restore`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Restored {
    /// The number of copied segments.
    pub segments: u64,
    /// The number of copied bytes.
    pub bytes: u64,
    /// Whether the last backup was interrupted. If so, the archive is restored from the backup before it, with some
    /// newer segments; without an earlier backup it is incomplete.
    pub is_interrupted: bool,
    /// The result of verifying the new archive.
    pub verification: Verification,
}

impl DiskArchive {
    /// Copies the backup in the directory `from` to the directory `to`, which must be new or empty, and verifies the
    /// copy, which can then be opened for writing. The backup is not changed.
    ///
    /// Deliveries removed from the archive after the backup are in the copy again: repeat their removal.
    ///
    /// `progress` is called with the number of completed bytes and the total number of bytes, first while copying, then
    /// while verifying.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Locked`] if a backup to `from` is running, or another process has `to` open;
    /// [`ArchiveError::Newer`] if a later version wrote a segment; [`ArchiveError::Io`] if a file cannot be read or
    /// written, if `from` has no segments, or if `to` is not empty. Files left in `to` by an interrupted call are
    /// replaced. Damage is not an error: see [`Restored::verification`].
    ///
    /// # Cancel safety
    ///
    /// The restore continues if the future is dropped.
    ///
    /// ```no_run
    /// use tower_inbox::archive::DiskArchive;
    ///
    /// # async fn restore() -> Result<(), Box<dyn std::error::Error>> {
    /// let restored = DiskArchive::restore("/mnt/backup", "/var/lib/inbox", |_done, _of| {}).await?;
    /// assert!(restored.verification.is_sound() && !restored.is_interrupted);
    /// let archive = DiskArchive::open("/var/lib/inbox").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn restore(
        from: impl AsRef<Path>,
        to: impl AsRef<Path>,
        mut progress: impl FnMut(u64, u64) + Send + 'static,
    ) -> Result<Restored, ArchiveError> {
        let (from, to) = (from.as_ref().to_owned(), to.as_ref().to_owned());
        background::run(move || restore(&RealDisk, &from, &to, &mut progress)).await
    }
}

/// Restores a backup. Blocks the thread.
pub(in crate::archive::disk) fn restore(
    fs: &dyn FileSystem,
    from: &Path,
    to: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Restored, ArchiveError> {
    let manifest = Manifest::read(fs, from)?;
    let is_interrupted = manifest.as_ref().is_some_and(|manifest| !manifest.is_complete);
    let _no_backup = match lock_backup(fs, from) {
        Ok(None) if manifest.is_some() => {
            return Err(ArchiveError::Locked { path: from.to_owned(), pid: None });
        }
        // A backup may be on a read-only disk.
        lock => lock.ok().flatten(),
    };
    let wanted = segments(fs, from)?;
    if wanted.is_empty() {
        return Err(refusal("restore", from, "it has no segments").into());
    }
    check_empty(fs, to)?;
    fs.create_dir(to).map_err(Failure::to("create", to))?;
    let _lock = acquire(fs, to, Duration::ZERO)?;
    check_empty(fs, to)?;
    let mut restored = Restored { is_interrupted, ..Restored::default() };
    copy_all(fs, (from, to), &wanted, progress, &mut restored)?;
    restored.verification = verify(fs, to, progress)?;
    Ok(restored)
}

/// Copies all segments before renaming the first of them, so that a partial archive is never opened.
fn copy_all(
    fs: &dyn FileSystem,
    (from, to): (&Path, &Path),
    wanted: &BTreeSet<SegmentName>,
    progress: &mut dyn FnMut(u64, u64),
    restored: &mut Restored,
) -> Result<(), ArchiveError> {
    let mut copies = Vec::new();
    let total = total(fs, from, wanted);
    for name in wanted {
        let Some(source) = Source::open(fs, from, *name)? else { continue };
        let copy = source.copy_to(fs, (from, to), &mut |piece| {
            restored.bytes += piece;
            progress(restored.bytes, total.max(restored.bytes));
        })?;
        copies.push((source, copy));
    }
    if copies.len() < wanted.len() || !is_consistent(wanted, &segments(fs, from)?) {
        let reason = "it has changed while it was read; make a backup of it, and restore that";
        return Err(refusal("restore", from, reason).into());
    }
    for (source, copy) in &copies {
        commit(fs, to, source.name, copy)?;
        restored.segments += 1;
    }
    Ok(copy_manifest(fs, (from, to), wanted, &BTreeSet::new())?)
}

/// Rejects a directory that contains anything other than leftovers of an interrupted attempt.
fn check_empty(fs: &dyn FileSystem, to: &Path) -> Result<(), Failure> {
    let names = match fs.list(to) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        names => names.map_err(Failure::to("list", to))?,
    };
    let listing = Listing::of_dir(fs, to)?;
    let lock = lock_path(Path::new(""));
    let is_allowed = |name: &OsString| {
        Path::new(name) == lock || name == "lost+found" || listing.leftovers.contains(name)
    };
    if listing.segments.is_empty() && names.iter().all(is_allowed) {
        return Ok(());
    }
    let reason = if names.iter().any(|name| is_of_backup(name)) {
        "it holds a backup; use a new directory"
    } else {
        "it is not empty; use a new directory"
    };
    Err(refusal("restore into", to, reason))
}
