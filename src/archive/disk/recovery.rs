use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    entry::Place,
    failure::Failure,
    format::check_formats,
    index::Index,
    log::{Log, seal},
    medium::{Medium, MediumFile},
    name::SegmentName,
    segment::Segment,
    unsynced,
    walk::{Meaning, Step, Walk},
};
use crate::archive::ArchiveError;

/// Reads a directory of segments into an index, repairs what a crash left, and goes on where the log ends.
#[derive(Debug)]
pub(super) struct Recovery {
    index: Index,
    log: Log,
    bytes_cut: u64,
}

/// The sealed segments are read, those that were being written are repaired as well.
pub(super) fn recover(
    medium: Arc<dyn Medium>,
    dir: PathBuf,
    segment_size: u64,
) -> Result<(Index, Log), ArchiveError> {
    let segments = segments(&*medium, &dir)?;
    check_formats(&*medium, &dir, &segments)?;
    let log = Log { medium, dir, segment_size, next_sequence: 1, open: None };
    let mut recovery = Recovery { index: Index::default(), log, bytes_cut: 0 };
    // The process may have died between making a file and making its name durable.
    let dir = &recovery.log.dir;
    recovery.log.medium.sync_dir(dir).map_err(Failure::to("sync", dir))?;
    for (name, sealed) in &segments {
        recovery.segment(*name, *sealed)?;
    }
    tracing::info!(
        path = %recovery.log.dir.display(),
        segments = segments.len(),
        deliveries = recovery.index.len(),
        pending = recovery.index.pending(),
        bytes_cut = recovery.bytes_cut,
        "opened the disk archive"
    );
    Ok((recovery.index, recovery.log))
}

/// The segments in the order of the log, and whether they are sealed.
fn segments(medium: &dyn Medium, dir: &Path) -> Result<Vec<(SegmentName, bool)>, Failure> {
    let names = medium.list(dir).map_err(Failure::to("list", dir))?;
    let mut segments: Vec<_> = names.iter().filter_map(|name| SegmentName::parse(name)).collect();
    segments.sort_unstable();
    Ok(segments)
}

impl Recovery {
    fn segment(&mut self, name: SegmentName, sealed: bool) -> Result<(), Failure> {
        self.log.next_sequence = name.sequence.saturating_add(1);
        // Of two segments that were being written the first was given up.
        self.seal_open()?;
        let (path, file) = self.open(name, sealed)?;
        let end = self.walk(&*file, (name, sealed), &path).map_err(Failure::to("read", &path))?;
        if sealed {
            return Ok(());
        }
        self.cut(&*file, &path, end)?;
        let file = unsynced::settle(&*self.log.medium, &self.log.dir, name, file, end)?;
        self.log.open = Some(Segment::resume(name, path, file, end));
        if end >= self.log.segment_size { self.seal_open() } else { Ok(()) }
    }

    fn open(
        &self,
        name: SegmentName,
        sealed: bool,
    ) -> Result<(PathBuf, Box<dyn MediumFile>), Failure> {
        let Log { medium, dir, .. } = &self.log;
        let path = if sealed { name.sealed_path(dir) } else { name.open_path(dir) };
        let file = if sealed { medium.open_read(&path) } else { medium.open_append(&path) };
        file.map_err(Failure::to("open", &path)).map(|file| (path, file))
    }

    fn seal_open(&mut self) -> Result<(), Failure> {
        match self.log.open.take() {
            Some(segment) => seal(&*self.log.medium, &self.log.dir, segment.name()),
            None => Ok(()),
        }
    }

    /// Takes what is whole into the index, and says where it ends.
    fn walk(
        &mut self,
        file: &dyn MediumFile,
        (name, sealed): (SegmentName, bool),
        path: &Path,
    ) -> std::io::Result<u64> {
        let mut walk = Walk::new(file, name.salt)?;
        let mut end = 0;
        while let Some(step) = walk.step()? {
            match step {
                Step::Record { offset, length, meaning } => {
                    end = offset + length;
                    self.take(meaning, Place { segment: name, offset, length });
                }
                Step::Damage { offset, length } => {
                    end = offset + length;
                    self.index.note_damage(name, offset);
                    tracing::warn!(path = %path.display(), offset, length, "skipped damaged bytes");
                }
                Step::Torn { offset } => {
                    // An open segment is cut there; from a sealed one something was lost.
                    if sealed {
                        self.index.note_damage(name, offset);
                    }
                    tracing::warn!(path = %path.display(), offset, "the end of a segment is torn");
                }
            }
        }
        Ok(end)
    }

    fn take(&mut self, meaning: Meaning, place: Place) {
        match meaning {
            Meaning::Delivery { id, model, digest } => self.index.insert(id, model, digest, place),
            Meaning::Outcome { of, outcome } => {
                if !self.index.settle(of, outcome) {
                    tracing::warn!(delivery = %of, "there is an outcome of a delivery that is lost");
                }
            }
            Meaning::Nothing => {}
        }
    }

    /// Leaves no torn end to append to.
    fn cut(&mut self, file: &dyn MediumFile, path: &Path, end: u64) -> Result<(), Failure> {
        let length = file.len().map_err(Failure::to("read", path))?;
        if length > end {
            file.set_len(end).map_err(Failure::to("cut", path))?;
            self.bytes_cut += length - end;
        }
        Ok(())
    }
}
