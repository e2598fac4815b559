use std::{collections::BTreeMap, time::SystemTime};

use super::{listing::Listing, reader::Reader};
use crate::{
    archive::{
        ArchiveError, StorageUsage,
        disk::{
            DiskArchive, background,
            format::name::{SegmentName, SegmentState},
            fs::file_system::Failure,
            index::Index,
        },
    },
    delivery::{ModelName, StateKind},
};

/// Statistics of a [`DiskArchive`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// The number of deliveries that can be read.
    pub deliveries: u64,
    /// The number of removed deliveries in the ledger.
    pub removed: u64,
    /// When the first and the last readable delivery were received. If deliveries were removed, the range may begin
    /// earlier or end later.
    pub received: Option<(SystemTime, SystemTime)>,
    /// The number of deliveries per model.
    pub models: BTreeMap<ModelName, u64>,
    /// The number of pending deliveries.
    pub pending: u64,
    /// The number of deliveries in each other state, by the name of the state.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// The number of active, sealed, and compressed segments.
    pub segments: [u64; 3],
    /// The size of the active, sealed, and compressed segments, in bytes.
    pub bytes: [u64; 3],
}

impl DiskArchive {
    /// Counts the contents of the archive. Reads no deliveries.
    ///
    /// # Errors
    ///
    /// If the directory cannot be listed.
    pub async fn stats(&self) -> Result<Stats, ArchiveError> {
        let reader = self.reader();
        background::run(move || Ok(stats(&reader)?)).await
    }
}

fn stats(reader: &Reader) -> Result<Stats, Failure> {
    let mut stats = reader.ask(Stats::of);
    for (segment_state, length) in lengths(reader)? {
        stats.count_segment(segment_state, length);
    }
    Ok(stats)
}

/// Returns the length of each segment.
fn lengths(reader: &Reader) -> Result<Vec<(SegmentState, u64)>, Failure> {
    let segments = Listing::of_dir(&*reader.fs, &reader.dir)?.segments;
    let length = |(name, segment_state): (SegmentName, SegmentState)| {
        // A segment that was renamed in the meantime counts as empty.
        let file = reader.fs.open_read(&name.path(&reader.dir, segment_state));
        (segment_state, file.and_then(|file| file.len()).unwrap_or(0))
    };
    Ok(segments.into_iter().map(length).collect())
}

impl Stats {
    fn of(index: &Index) -> Self {
        let mut stats =
            Self { removed: index.removed(), received: index.all_received(), ..Self::default() };
        for (model, kind, count) in index.counts().iter() {
            stats.deliveries += count;
            *stats.models.entry(model.clone()).or_default() += count;
            match kind {
                StateKind::Pending => stats.pending += count,
                kind => *stats.outcomes.entry(kind.as_str()).or_default() += count,
            }
        }
        stats
    }

    fn count_segment(&mut self, segment_state: SegmentState, length: u64) {
        for ((segments, bytes), of) in
            self.segments.iter_mut().zip(&mut self.bytes).zip(SegmentState::ALL)
        {
            if of == segment_state {
                *segments += 1;
                *bytes += length;
            }
        }
    }
}

/// Returns the disk space used by the segments, and the free space.
pub(in crate::archive::disk) fn usage(reader: &Reader) -> Result<StorageUsage, Failure> {
    let (fs, dir) = (&reader.fs, &reader.dir);
    let free = fs.free_space(dir).map_err(Failure::to("ask how much is free at", dir))?;
    let used = lengths(reader)?.into_iter().map(|(_, length)| length).sum();
    Ok(StorageUsage::new(used, free))
}
