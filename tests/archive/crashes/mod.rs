//! Power failures and kills at every call, on a disk in memory.

mod driver;
mod exhaustive;
mod failing_calls;
mod promises;
mod random;
mod verify;

use std::path::Path;

use tower_inbox::{DiskArchive, archive::DiskArchiveBuilder};

/// Small segments, so that sealing is a part of each history.
fn options(segment_size: u64) -> DiskArchiveBuilder {
    DiskArchive::builder(Path::new("inbox")).segment_size(segment_size)
}
