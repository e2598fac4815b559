use std::path::{Path, PathBuf};

use super::{
    listing::Listing,
    scanner::{RecordScanner, Scanned},
};
use crate::archive::{
    ArchiveError,
    disk::{
        DiskArchive, background,
        backup::is_backup,
        format::{
            compressed::{decompress, is_compressed},
            index_file::missing,
            manifest::manifest_path,
            name::{SegmentName, SegmentState, check_format},
            warc::{Meaning, read_delivery},
        },
        fs::{
            file_io::read_full,
            file_system::{DiskFile, Failure, FileSystem},
            lock::lock_path,
            real_disk::RealDisk,
        },
        maintain::inventory::{inspect, manifest_exists},
    },
};

/// The result of [`DiskArchive::verify`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verification {
    /// The number of segments read.
    pub segments: u64,
    /// The number of intact records.
    pub records: u64,
    /// The number of those records that are deliveries whose bodies match the digests they were received with.
    pub deliveries: u64,
    /// The number of bytes read.
    pub bytes: u64,
    /// The parts that differ from the data that was written.
    pub damages: Vec<Damage>,
    /// The number of bytes at the end of an active segment that do not form a complete record. A writer may be about to
    /// complete it. Bytes that a crash left there are truncated at the next start, and were never acknowledged.
    pub torn: u64,
}

impl Verification {
    /// Returns whether nothing is damaged.
    pub fn is_sound(&self) -> bool {
        self.damages.is_empty()
    }
}

/// A part of an archive that differs from the data that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// The affected file.
    pub path: PathBuf,
    /// The offset in the file.
    pub offset: u64,
    /// The number of affected bytes; 0 if the file itself is missing, empty, or not of this archive.
    pub length: u64,
    /// The kind of damage.
    pub reason: &'static str,
}

impl DiskArchive {
    /// Reads every byte of the archive in this directory. Verifies every checksum and every digest, and that no segment
    /// is missing or belongs to another archive. Changes nothing, and takes no lock. Index files are used only to
    /// detect that a segment existed, or was longer. `progress` is called with the number of bytes read and the total.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::NotAnArchive`] if the directory has no file of an archive; [`ArchiveError::Newer`] if a later
    /// version wrote a segment; [`ArchiveError::Io`] if a file cannot be read. Damage is not an error, but part of the
    /// result.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, reading continues, and the result is discarded.
    ///
    /// ```
    /// use tower_inbox::archive::DiskArchive;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path();
    /// # DiskArchive::open(path).await?.close().await;
    /// let found = DiskArchive::verify(path, |_read, _of| {}).await?;
    /// assert!(found.is_sound());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn verify(
        path: impl AsRef<Path>,
        progress: impl FnMut(u64, u64) + Send + 'static,
    ) -> Result<Verification, ArchiveError> {
        let path = path.as_ref().to_owned();
        background::run(move || verify(&RealDisk, &path, progress)).await
    }
}

pub(in crate::archive::disk) fn verify(
    fs: &dyn FileSystem,
    dir: &Path,
    mut progress: impl FnMut(u64, u64),
) -> Result<Verification, ArchiveError> {
    let segments = Listing::of_dir(fs, dir)?.segments;
    let is_archive = !segments.is_empty()
        || manifest_exists(fs, dir)
        || is_backup(fs, dir)
        || fs.open_read(&lock_path(dir)).is_ok();
    if !is_archive {
        return Err(ArchiveError::NotAnArchive { path: dir.to_owned() });
    }
    let total = lengths(fs, dir, &segments);
    let mut found = Verification { damages: faults(fs, dir)?, ..Verification::default() };
    for (name, segment_state) in segments {
        let Some((name, segment_state, path, file)) = open(fs, dir, name, segment_state)? else {
            continue;
        };
        let read = |error| Failure::to("read", &path)(error);
        check_format(&*file, &path, name)?;
        let before = found.bytes;
        found.segments += 1;
        let mut steps = RecordScanner::of(&*file, name, segment_state).map_err(read)?;
        while let Some(step) = steps.read_next().map_err(read)? {
            found.take(step, &*file, &path, name).map_err(read)?;
            progress(found.bytes, total.max(found.bytes));
        }
        let length = file.len().map_err(read)?;
        found.bytes = before + length;
        if segment_state != SegmentState::Active && length == 0 {
            let (path, reason) = (path.clone(), "the segment is empty: what was in it is lost");
            found.damages.push(Damage { path, offset: 0, length: 0, reason });
        }
        found.damages.extend(end_missing(fs, dir, name, path, length));
    }
    progress(found.bytes, found.bytes);
    Ok(found)
}

/// Returns the segments that are missing, or that are not of this archive.
fn faults(fs: &dyn FileSystem, dir: &Path) -> Result<Vec<Damage>, Failure> {
    let damage = |path, reason| Damage { path, offset: 0, length: 0, reason };
    let (faults, is_damaged) = inspect(fs, dir)?;
    let manifest = is_damaged.then(|| damage(manifest_path(dir), "the manifest is damaged"));
    let faults = faults.iter().map(|fault| damage(fault.path(dir), fault.reason()));
    Ok(manifest.into_iter().chain(faults).collect())
}

/// Returns the missing end of a segment of this length, if its index file shows that it was longer. A file whose length
/// has changed since was rewritten, and so was its index file.
fn end_missing(
    fs: &dyn FileSystem,
    dir: &Path,
    name: SegmentName,
    path: PathBuf,
    length: u64,
) -> Option<Damage> {
    let missing = missing(fs, dir, name, length)?;
    let now = fs.open_read(&path).and_then(|file| file.len()).ok()?;
    let reason = "the end of the segment is missing";
    (now == length).then(|| Damage { path, offset: length, length: missing.get(), reason })
}

fn lengths<'s>(
    fs: &dyn FileSystem,
    dir: &Path,
    segments: impl IntoIterator<Item = (&'s SegmentName, &'s SegmentState)>,
) -> u64 {
    let length = |(name, segment_state): (&SegmentName, &SegmentState)| {
        fs.open_read(&name.path(dir, *segment_state)).and_then(|file| file.len()).unwrap_or(0)
    };
    segments.into_iter().map(length).sum()
}

type Opened = (SegmentName, SegmentState, PathBuf, Box<dyn DiskFile>);

/// Opens a segment. A writer may have sealed or compressed it in the meantime.
fn open(
    fs: &dyn FileSystem,
    dir: &Path,
    name: SegmentName,
    listed: SegmentState,
) -> Result<Option<Opened>, Failure> {
    for segment_state in
        SegmentState::ALL.into_iter().filter(|segment_state| *segment_state >= listed)
    {
        let path = name.path(dir, segment_state);
        match fs.open_read(&path) {
            Ok(file) => return Ok(Some((name, segment_state, path, file))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Failure::to("open", &path)(error)),
        }
    }
    Ok(None)
}

impl Verification {
    fn take(
        &mut self,
        step: Scanned,
        file: &dyn DiskFile,
        path: &Path,
        name: SegmentName,
    ) -> std::io::Result<()> {
        let mut damaged = |offset, length, reason| {
            self.damages.push(Damage { path: path.to_owned(), offset, length, reason });
        };
        match step {
            Scanned::Record { offset, length, meaning } => {
                self.bytes += length;
                if matches!(meaning, Meaning::Delivery { .. }) {
                    match check(file, offset, length, name)? {
                        Ok(()) => self.deliveries += 1,
                        Err(reason) => damaged(offset, length, reason),
                    }
                }
                self.records += 1;
            }
            Scanned::Damage { offset, length, .. } => {
                self.bytes += length;
                damaged(offset, length, "these bytes are no record that was written");
            }
            Scanned::Torn { offset } => self.torn += file.len()?.saturating_sub(offset),
        }
        Ok(())
    }
}

/// Checks the digest of the body. The walk has already checked the checksums.
fn check(
    file: &dyn DiskFile,
    offset: u64,
    length: u64,
    name: SegmentName,
) -> std::io::Result<Result<(), &'static str>> {
    let mut record = vec![0; usize::try_from(length).map_err(std::io::Error::other)?];
    let read = read_full(file, &mut record, offset)?;
    record.truncate(read);
    let record = if is_compressed(&record) { decompress(&record)? } else { record };
    Ok(read_delivery(&record.into(), name.salt).map(|_| ()))
}
