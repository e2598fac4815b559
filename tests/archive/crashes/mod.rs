//! Power failures and kills at every call, on a disk in memory.

mod driver;
mod exhaustive;
mod failing_calls;
mod maintenance;
mod promises;
mod random;
mod tally;
mod verify;

use std::{path::Path, time::Duration};

use tower_inbox::{DiskArchive, archive::DiskArchiveBuilder};

/// Small segments, so that sealing is a part of each history. Nothing happens by itself; upkeep that is asked for
/// compresses sealed segments.
fn options(segment_size: u64) -> DiskArchiveBuilder {
    DiskArchive::builder(Path::new("inbox"))
        .segment_size(segment_size)
        .upkeep_every(None)
        .compress_after(Duration::ZERO)
}
