//! Compares the segments in the directory with the manifest: at open, during maintenance, and in `verify`.

use std::{collections::BTreeSet, io, path::Path};

use super::compactor::{CompactionState, Compactor};
use crate::archive::{
    ArchiveError,
    disk::{
        format::{
            index_file::missing,
            manifest::{Manifest, SegmentFault, manifest_path},
            name::{SegmentName, SegmentState},
        },
        fs::{
            file_io::read_full,
            file_system::{Failure, FileSystem},
            replace::replace,
        },
        index::Index,
        read::listing::Listing,
    },
};

/// The maximum number of faults that are logged individually.
const LOGGED: usize = 10;

/// The segments of an archive that is open for writing.
#[derive(Debug, Default)]
pub(in crate::archive::disk) struct Inventory {
    manifest: Manifest,
    /// Whether the manifest file matches `manifest`.
    is_written: bool,
    /// The faults found by the last check.
    faults: Vec<SegmentFault>,
}

/// The state of the manifest file.
enum File {
    None,
    Whole(Manifest),
    Damaged,
}

fn read(fs: &dyn FileSystem, dir: &Path) -> io::Result<File> {
    let file = match fs.open_read(&manifest_path(dir)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(File::None),
        file => file?,
    };
    let mut bytes = vec![0; usize::try_from(file.len()?).map_err(io::Error::other)?];
    let read = read_full(&*file, &mut bytes, 0)?;
    bytes.truncate(read);
    let text = String::from_utf8(bytes).unwrap_or_default();
    Ok(Manifest::parse(&text).map_or(File::Damaged, File::Whole))
}

/// Returns whether an archive was ever open in this directory for a minute or more.
pub(in crate::archive::disk) fn manifest_exists(fs: &dyn FileSystem, dir: &Path) -> bool {
    fs.open_read(&manifest_path(dir)).is_ok()
}

/// Returns the faults in a directory to which another process may write, and whether the manifest is damaged.
pub(in crate::archive::disk) fn inspect(
    fs: &dyn FileSystem,
    dir: &Path,
) -> Result<(Vec<SegmentFault>, bool), Failure> {
    let look = || -> Result<_, Failure> {
        let path = manifest_path(dir);
        let (manifest, is_damaged) = match read(fs, dir).map_err(Failure::to("read", &path))? {
            File::None => (Manifest::default(), false),
            File::Whole(manifest) => (manifest, false),
            File::Damaged => (Manifest::default(), true),
        };
        Ok((manifest.faults(&Listing::of_dir(fs, dir)?), is_damaged))
    };
    let (mut faults, is_damaged) = look()?;
    if !faults.is_empty() {
        // A writer may rename and remove segments during a check; only faults that a second check confirms are
        // returned.
        let (again, _) = look()?;
        faults.retain(|fault| again.contains(fault));
    }
    Ok((faults, is_damaged))
}

/// Writes a manifest for a copy of an archive with these segments. `leaving` are about to be removed from the copy.
pub(in crate::archive::disk) fn copy_manifest(
    fs: &dyn FileSystem,
    (from, to): (&Path, &Path),
    copied: &BTreeSet<SegmentName>,
    leaving: &BTreeSet<SegmentName>,
) -> Result<(), Failure> {
    let path = manifest_path(from);
    let File::Whole(manifest) = read(fs, from).map_err(Failure::to("read", &path))? else {
        return Ok(());
    };
    let text = manifest.of_copy(copied, leaving).print();
    replace(fs, to, &manifest_path(to), text.as_bytes())
}

impl Inventory {
    /// Reads the manifest of an archive that is opened for writing, and logs the faults. An archive without a manifest
    /// gets one that lists the segments in the directory. A damaged manifest is set aside.
    pub(in crate::archive::disk) fn open(
        fs: &dyn FileSystem,
        dir: &Path,
        listing: &Listing,
    ) -> Self {
        let path = manifest_path(dir);
        let manifest = match read(fs, dir) {
            Ok(File::Whole(manifest)) => manifest,
            Ok(File::None) => return Self::adopting(dir, listing),
            damaged => {
                let error = damaged.err();
                tracing::warn!(
                    path = %path.display(), ?error,
                    "the manifest is damaged: segments that are missing cannot be told from those that were removed; it \
                     is renamed, and a new one is written"
                );
                drop(fs.rename(&path, &dir.join("inbox.manifest.damaged")));
                return Self::adopting(dir, listing);
            }
        };
        let faults = manifest.faults(listing);
        warn(dir, &faults);
        Self { manifest, is_written: true, faults }
    }

    fn adopting(dir: &Path, listing: &Listing) -> Self {
        warn(dir, &Manifest::default().faults(listing));
        Self { manifest: Manifest::adopting(listing), ..Self::default() }
    }

    /// Returns the highest segment number so far.
    pub(in crate::archive::disk) fn highest(&self) -> u64 {
        let missing = self.faults.iter().filter_map(SegmentFault::missing);
        missing.map(|name| name.sequence).max().max(Some(self.manifest.highest())).unwrap_or(0)
    }

    /// Returns the number of missing segments.
    pub(in crate::archive::disk) fn missing(&self) -> u64 {
        self.faults.iter().map(SegmentFault::missing_segments).sum()
    }

    /// Reports the missing segments as damage.
    pub(in crate::archive::disk) fn report(&self, index: &mut Index) {
        report(&self.faults, index);
    }

    fn write(
        &mut self,
        fs: &dyn FileSystem,
        dir: &Path,
        manifest: Manifest,
    ) -> Result<(), Failure> {
        if self.is_written && manifest == self.manifest {
            return Ok(());
        }
        replace(fs, dir, &manifest_path(dir), manifest.print().as_bytes())?;
        (self.manifest, self.is_written) = (manifest, true);
        Ok(())
    }
}

/// Reports the missing segments to a complete index. Their contents are unknown.
pub(in crate::archive::disk) fn report(faults: &[SegmentFault], index: &mut Index) {
    let missing = faults.iter().filter_map(SegmentFault::missing);
    missing.for_each(|name| index.note_cut(name, 0));
}

/// Logs the faults.
pub(in crate::archive::disk) fn warn(dir: &Path, faults: &[SegmentFault]) {
    for fault in faults.iter().take(LOGGED) {
        tracing::warn!(path = %fault.path(dir).display(), "{}; see 'inbox verify'", fault.reason());
    }
    if faults.len() > LOGGED {
        let more = faults.len() - LOGGED;
        tracing::warn!(path = %dir.display(), more, "more segments are missing or foreign");
    }
}

impl Compactor {
    /// Compares the segments with the manifest, logs new faults, and adds new segments to the manifest.
    pub(in crate::archive::disk) fn check_segments(
        &self,
        state: &mut CompactionState,
    ) -> Result<(), ArchiveError> {
        let (fs, dir) = (&*self.fs, &*self.dir);
        let listing = Listing::of_dir(fs, dir)?;
        let Inventory { manifest, faults: known, .. } = &mut state.inventory;
        let mut faults = manifest.faults(&listing);
        if !faults.is_empty() {
            // The writer may have renamed a segment while the directory was read.
            let again = manifest.faults(&Listing::of_dir(fs, dir)?);
            faults.retain(|fault| again.contains(fault));
        }
        let new: Vec<_> = faults.iter().filter(|fault| !known.contains(fault)).cloned().collect();
        warn(dir, &new);
        *known = faults;
        self.condition.note_missing(state.inventory.missing());
        let Inventory { manifest, .. } = &mut state.inventory;
        let manifest = manifest.with(&listing);
        Ok(state.inventory.write(fs, dir, manifest)?)
    }

    /// Records durably in the manifest that a segment is about to be removed.
    pub(in crate::archive::disk) fn announce_removal(
        &self,
        name: SegmentName,
        state: &mut CompactionState,
    ) -> Result<(), Failure> {
        let manifest = state.inventory.manifest.with_removal_of(name);
        state.inventory.write(&*self.fs, &self.dir, manifest)
    }

    /// Records that a segment was durably removed.
    pub(in crate::archive::disk) fn removal_done(name: SegmentName, state: &mut CompactionState) {
        state.inventory.manifest.finish_removal(name);
        state.inventory.is_written = false;
    }

    /// Returns whether a sealed segment is empty, or shorter than its index file records. In that case data was lost,
    /// and the evidence is left as it is.
    pub(in crate::archive::disk) fn is_cut(
        &self,
        name: SegmentName,
        segment_state: SegmentState,
        state: &mut CompactionState,
    ) -> Result<bool, Failure> {
        let path = name.path(&self.dir, segment_state);
        let file = self.fs.open_read(&path).map_err(Failure::to("open", &path))?;
        let length = file.len().map_err(Failure::to("read", &path))?;
        let is_cut = length == 0 || missing(&*self.fs, &self.dir, name, length).is_some();
        if is_cut {
            self.note_damaged(name, segment_state, state);
        }
        Ok(is_cut)
    }
}

/// Logs and records that a sealed segment is empty. Every segment begins with a record about itself.
pub(in crate::archive::disk) fn note_if_empty(
    path: &Path,
    length: u64,
    name: SegmentName,
    index: &mut Index,
) {
    if length == 0 {
        index.note_cut(name, 0);
        tracing::warn!(path = %path.display(), "a sealed segment is empty: what was in it is lost");
    }
}
