//! Power failures and kills at every disk call, on an in-memory disk.

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

/// Small segments, so that every history includes sealing. Without automatic maintenance; requested maintenance
/// compresses sealed segments.
fn options(segment_size: u64) -> DiskArchiveBuilder {
    DiskArchive::builder(Path::new("inbox"))
        .segment_size(segment_size)
        .maintenance_interval(None)
        .compress_after(Duration::ZERO)
}
