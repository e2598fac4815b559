//! Backups: consistent copies of an archive that another process may have open.
//!
//! Index files are not copied: they include states recorded in later segments than their own, up to a log position that
//! the backup may not contain. They are rebuilt when the copy is opened for writing.
//!
//! A backup does not lock the archive. It relies on how the archive changes its files:
//!
//! - A sealed segment is never changed in place: a new version replaces it under the same name.
//! - A segment that is being written only grows. Everything before the end of the last acknowledged batch is final.
//! - A record about a delivery is in the same segment as the delivery, or in a later one. Segments are copied oldest
//!   first, and segments that the archive no longer has are removed oldest first, so that an interrupted backup never
//!   contains a delivery without the records about it from an earlier backup.
//! - A segment is removed only when nothing in it is needed, but possibly together with others: if one is removed
//!   during the copy, all segments are checked again.

mod copy;
mod manifest;
pub(super) mod restore;

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
};

pub use restore::Restored;

use copy::{Copy, Source, is_damaged};
use manifest::{Manifest, is_of_backup, manifest_path};

use super::{
    DiskArchive, background,
    format::name::{SegmentName, SegmentState},
    fs::{
        file_system::{Failure, FileSystem, Lock},
        lock::lock_path,
        permissions::warn_if_accessible,
        real_disk::RealDisk,
        replace::remove,
    },
    maintain::inventory::copy_manifest,
    read::{
        listing::Listing,
        verify::{Verification, verify},
    },
};
use crate::archive::ArchiveError;

/// The result of [`DiskArchive::backup`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backup {
    /// The number of copied segments.
    pub copied: u64,
    /// The number of copied bytes.
    pub bytes: u64,
    /// The number of segments that were already in the backup.
    pub unchanged: u64,
    /// The number of segments that were removed from the backup because the archive no longer has them.
    pub removed: u64,
    /// Segments that are damaged in the archive. The backup keeps its earlier, undamaged copies of them, which still
    /// contain deliveries removed since.
    pub kept: Vec<PathBuf>,
    /// The result of verifying the backup.
    pub verification: Verification,
}

impl Backup {
    /// Returns true if no damage was found in the backup or in the copied segments of the archive.
    pub fn is_sound(&self) -> bool {
        self.verification.is_sound() && self.kept.is_empty()
    }
}

impl DiskArchive {
    /// Copies the archive in the directory `from` to the directory `to`, even while another process writes to it, and
    /// verifies the copy.
    ///
    /// The copy contains every delivery that was acknowledged before the backup began and not removed since, with the
    /// same state or a later one. It is itself an archive, and can be read like any other. Deliveries removed before
    /// the backup began are not in it, even if an earlier backup in the same directory contained them.
    ///
    /// `to` must be new, empty, or contain an earlier backup. Segments that were sealed and have not changed since the
    /// earlier backup are not copied again. After an interruption, call this function again. Do not open a backup for
    /// writing: use [`restore`](Self::restore).
    ///
    /// `progress` is called with the number of completed bytes and the total number of bytes, first while copying, then
    /// while verifying.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Locked`] if another backup to this directory is running; [`ArchiveError::Newer`] if a later
    /// version wrote a segment; [`ArchiveError::Io`] if a file cannot be read or written, if `from` is not an archive,
    /// or if `to` is neither empty nor a backup of it. Damage is not an error: see [`Backup::is_sound`].
    ///
    /// # Cancel safety
    ///
    /// The backup continues if the future is dropped.
    ///
    /// ```
    /// use tower_inbox::archive::DiskArchive;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let (inbox, target) = (dir.path().join("inbox"), dir.path().join("backup"));
    /// let archive = DiskArchive::open(&inbox).await?;
    /// let backup = DiskArchive::backup(&inbox, &target, |_done, _of| {}).await?;
    /// assert!(backup.is_sound());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn backup(
        from: impl AsRef<Path>,
        to: impl AsRef<Path>,
        mut progress: impl FnMut(u64, u64) + Send + 'static,
    ) -> Result<Backup, ArchiveError> {
        let (from, to) = (from.as_ref().to_owned(), to.as_ref().to_owned());
        background::run(move || {
            if let (Ok(one), Ok(other)) = (from.canonicalize(), to.canonicalize())
                && one == other
            {
                return Err(refusal("back up to", &to, "it is the archive itself").into());
            }
            backup(&RealDisk, &from, &to, &mut progress)
        })
        .await
    }
}

/// Makes a backup. Blocks the thread.
pub(super) fn backup(
    fs: &dyn FileSystem,
    from: &Path,
    to: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Backup, ArchiveError> {
    check_source(fs, from)?;
    let (_lock, manifest) = open_target(fs, to)?;
    let mut run = Run { fs, from, to, manifest, done: Backup::default(), progress };
    run.all()?;
    if run.forget_damaged() {
        // A copy that was undamaged before is now damaged, and the archive may have an undamaged version.
        run.all()?;
    }
    Ok(run.done)
}

/// Returns true if a directory contains a backup, including one of an archive without segments.
pub(super) fn is_backup(fs: &dyn FileSystem, dir: &Path) -> bool {
    fs.open_read(&manifest_path(dir)).is_ok()
}

/// Rejects a directory that is not an archive: a backup of an empty directory would empty the backup.
fn check_source(fs: &dyn FileSystem, from: &Path) -> Result<(), Failure> {
    let names = fs.list(from).map_err(Failure::to("list", from))?;
    let lock = lock_path(Path::new(""));
    let is_archive = |name: &std::ffi::OsString| {
        Path::new(name) == lock || SegmentName::parse(name).is_some() || is_of_backup(name)
    };
    if names.iter().any(is_archive) {
        return Ok(());
    }
    Err(refusal(
        "back up",
        from,
        "it is not an archive; check the path, and that the disk is mounted",
    ))
}

/// Creates the directory of a backup, or checks that it is a backup, and locks it against other backups.
fn open_target(fs: &dyn FileSystem, to: &Path) -> Result<(Lock, Manifest), ArchiveError> {
    fs.create_dir(to).map_err(Failure::to("create", to))?;
    read_target(fs, to)?;
    let lock = lock_backup(fs, to)?
        .ok_or_else(|| ArchiveError::Locked { path: to.to_owned(), pid: None })?;
    warn_if_accessible(fs, to);
    Ok((lock, read_target(fs, to)?))
}

/// Returns the manifest of a backup; an error if the directory is neither a backup nor empty.
fn read_target(fs: &dyn FileSystem, to: &Path) -> Result<Manifest, Failure> {
    if fs.open_read(&lock_path(to)).is_ok() {
        let reason = "it is an archive that was opened for writing, and what was received there would be lost; use a new \
                      directory, or delete its inbox.lock if nothing was";
        return Err(refusal("back up to", to, reason));
    }
    if let Some(manifest) = Manifest::read(fs, to)? {
        return Ok(manifest);
    }
    let names = fs.list(to).map_err(Failure::to("list", to))?;
    if names.iter().all(|name| is_of_backup(name) || name == "lost+found") {
        return Ok(Manifest::default());
    }
    Err(refusal("back up to", to, "it is neither empty nor a backup; use a new directory"))
}

/// Acquires the lock that prevents concurrent backups. It is not the lock of an archive, which would mark the directory
/// as opened for writing.
fn lock_backup(fs: &dyn FileSystem, dir: &Path) -> Result<Option<Lock>, Failure> {
    let mut path = manifest_path(dir).into_os_string();
    path.push(".lock");
    let path = PathBuf::from(path);
    let lock = fs.lock(&path).map_err(Failure::to("lock", &path))?;
    Ok(lock.map(Lock::from))
}

fn refusal(action: &'static str, path: &Path, reason: &'static str) -> Failure {
    Failure::to(action, path)(io::Error::new(io::ErrorKind::InvalidInput, reason))
}

/// The number of times that a directory is listed; the union of the listings is used. A listing can miss a file that is
/// renamed in the meantime. A segment is renamed when it is sealed and when it is compressed, so that at least one of
/// three listings contains it.
const LISTINGS: usize = 3;

/// Returns all segments in a directory that another process may write to.
fn segments(fs: &dyn FileSystem, dir: &Path) -> Result<BTreeSet<SegmentName>, Failure> {
    let mut segments = BTreeSet::new();
    for _ in 0..LISTINGS {
        segments.extend(Listing::of_dir(fs, dir)?.segments.into_keys());
    }
    Ok(segments)
}

/// Returns true if the copied segments are the complete set at one point in time: none was removed or missed. Later
/// segments may have been added.
fn is_consistent(copied: &BTreeSet<SegmentName>, now: &BTreeSet<SegmentName>) -> bool {
    let is_added = |name: &SegmentName| copied.last().is_some_and(|last| name > last);
    copied.is_subset(now) && now.difference(copied).all(is_added)
}

/// The maximum number of times that the segments are checked again because one was removed.
const ROUNDS: usize = 100;

/// One backup.
struct Run<'a> {
    fs: &'a dyn FileSystem,
    from: &'a Path,
    to: &'a Path,
    manifest: Manifest,
    done: Backup,
    progress: &'a mut dyn FnMut(u64, u64),
}

impl Run<'_> {
    fn all(&mut self) -> Result<(), ArchiveError> {
        let copied = self.copy_all()?;
        let there = Listing::of_dir(self.fs, self.to)?.segments.into_keys();
        let leaving = there.filter(|name| !copied.contains(name)).collect();
        // Before any removal, so that an interrupted backup is not missing anything.
        copy_manifest(self.fs, (self.from, self.to), &copied, &leaving)?;
        self.remove_others(&copied)?;
        self.manifest.is_complete = true;
        self.manifest.write(self.fs, self.to)?;
        self.done.verification = verify(self.fs, self.to, &mut *self.progress)?;
        Ok(())
    }

    /// Copies each changed segment. Returns the segments of the backup.
    fn copy_all(&mut self) -> Result<BTreeSet<SegmentName>, ArchiveError> {
        let mut wanted = segments(self.fs, self.from)?;
        self.check_related(&wanted)?;
        self.manifest.is_complete = false;
        self.manifest.write(self.fs, self.to)?;
        for _ in 0..ROUNDS {
            self.done.unchanged = 0;
            let is_whole = self.copy_each(&wanted)?;
            let now = segments(self.fs, self.from)?;
            if is_whole && is_consistent(&wanted, &now) {
                return Ok(wanted);
            }
            wanted = now;
        }
        let reason = "its segments disappear faster than they can be copied; try again";
        Err(refusal("back up", self.from, reason).into())
    }

    /// Prevents a backup from being replaced by another archive, such as one newly created by a server in an empty
    /// directory.
    fn check_related(&self, wanted: &BTreeSet<SegmentName>) -> Result<(), Failure> {
        let there = Listing::of_dir(self.fs, self.to)?.segments;
        if there.is_empty() || there.keys().any(|name| wanted.contains(name)) {
            return Ok(());
        }
        let reason = "it is the backup of another archive, or the archive has lost all that is in it; use a new directory";
        Err(refusal("back up to", self.to, reason))
    }

    /// Copies the segments, oldest first. Returns false if one of them was removed.
    fn copy_each(&mut self, wanted: &BTreeSet<SegmentName>) -> Result<bool, ArchiveError> {
        let (mut is_whole, mut passed) = (true, 0);
        let total = total(self.fs, self.from, wanted);
        for name in wanted {
            match Source::open(self.fs, self.from, *name)? {
                Some(source) => {
                    self.copy(&source, passed, total)?;
                    passed += source.length();
                    (self.progress)(passed, total.max(passed));
                }
                None => is_whole = false,
            }
        }
        Ok(is_whole)
    }

    fn copy(&mut self, source: &Source, passed: u64, total: u64) -> Result<(), ArchiveError> {
        let name = source.name;
        if self.has(source) {
            self.done.unchanged += 1;
            return Ok(());
        }
        let (mut bytes, progress) = (0, &mut self.progress);
        let copy = source.copy_to(self.fs, (self.from, self.to), &mut |piece| {
            bytes += piece;
            progress(passed + bytes, total.max(passed + bytes));
        })?;
        self.done.bytes += bytes;
        if copy.is_damaged && self.has_sound(name)? {
            remove(self.fs, self.to, &copy.unfinished)?;
            let path = name.path(self.from, source.segment_state);
            if !self.done.kept.contains(&path) {
                self.done.kept.push(path);
            }
            return Ok(());
        }
        self.done.copied += 1;
        commit(self.fs, self.to, name, &copy)?;
        self.manifest.segments.insert(name, copy.copied);
        Ok(self.manifest.write(self.fs, self.to)?)
    }

    /// Returns true if the backup has a copy of this file.
    fn has(&self, source: &Source) -> bool {
        let copied = self.manifest.segments.get(&source.name);
        copied.filter(|copied| source.is(copied)).is_some_and(|copied| {
            let path = source.name.path(self.to, copied.segment_state);
            let length = self.fs.open_read(&path).and_then(|file| file.len());
            length.is_ok_and(|length| length == copied.length)
        })
    }

    /// Returns true if the backup has another version of this segment, sealed and undamaged.
    fn has_sound(&self, name: SegmentName) -> Result<bool, Failure> {
        let segment_state = Listing::of_dir(self.fs, self.to)?.segments.get(&name).copied();
        let Some(segment_state) =
            segment_state.filter(|segment_state| *segment_state != SegmentState::Active)
        else {
            return Ok(false);
        };
        Ok(!is_damaged(self.fs, &name.path(self.to, segment_state), name, segment_state)?)
    }

    /// Removes segments that the archive no longer has, oldest first.
    fn remove_others(&mut self, copied: &BTreeSet<SegmentName>) -> Result<(), Failure> {
        let listing = Listing::of_dir(self.fs, self.to)?;
        for path in listing.leftover_paths(self.to) {
            remove(self.fs, self.to, &path)?;
        }
        for (name, segment_state) in listing.segments {
            if !copied.contains(&name) {
                remove(self.fs, self.to, &name.index_path(self.to))?;
                remove(self.fs, self.to, &name.path(self.to, segment_state))?;
                self.done.removed += 1;
            }
        }
        self.manifest.segments.retain(|name, _| copied.contains(name));
        Ok(())
    }

    /// Removes the damaged segments of the backup from the manifest. Returns false if there are none.
    fn forget_damaged(&mut self) -> bool {
        let damaged = self.done.verification.damages.iter();
        let damaged = damaged.filter_map(|damage| SegmentName::parse(damage.path.file_name()?));
        let damaged: BTreeSet<_> = damaged.map(|(name, _)| name).collect();
        self.manifest.segments.retain(|name, _| !damaged.contains(name));
        !damaged.is_empty()
    }
}

/// Returns the total number of bytes of these segments, as far as known.
fn total(fs: &dyn FileSystem, dir: &Path, segments: &BTreeSet<SegmentName>) -> u64 {
    let length = |name: &SegmentName| {
        let forms = SegmentState::ALL.iter().rev();
        let mut lengths = forms.filter_map(|segment_state| {
            fs.open_read(&name.path(dir, *segment_state)).and_then(|file| file.len()).ok()
        });
        lengths.next().unwrap_or(0)
    };
    segments.iter().map(length).sum()
}

/// Renames a copy to its final name. An index file, which would not match, is removed before; another form of the
/// segment, which is obsolete, is removed after.
fn commit(fs: &dyn FileSystem, dir: &Path, name: SegmentName, copy: &Copy) -> Result<(), Failure> {
    let path = name.path(dir, copy.copied.segment_state);
    remove_existing(fs, dir, &name.index_path(dir))?;
    fs.rename(&copy.unfinished, &path).map_err(Failure::to("rename", &copy.unfinished))?;
    fs.sync_dir(dir).map_err(Failure::to("sync", dir))?;
    for segment_state in SegmentState::ALL
        .into_iter()
        .filter(|segment_state| *segment_state != copy.copied.segment_state)
    {
        remove_existing(fs, dir, &name.path(dir, segment_state))?;
    }
    Ok(())
}

/// Removes a file durably, if it exists.
fn remove_existing(fs: &dyn FileSystem, dir: &Path, path: &Path) -> Result<(), Failure> {
    if fs.open_read(path).is_ok() { remove(fs, dir, path) } else { Ok(()) }
}
