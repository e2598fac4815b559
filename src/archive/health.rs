//! What an archive reports of its own condition, for health probes and metrics.

use std::time::SystemTime;

/// The storage space of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StorageUsage {
    /// The bytes that the archive uses.
    pub used: u64,
    /// The bytes that are free where the archive is stored.
    pub free: u64,
}

impl StorageUsage {
    /// For archives: the bytes used and free.
    pub fn new(used: u64, free: u64) -> Self {
        Self { used, free }
    }
}

/// The condition of an archive. A field is `None` if the archive does not know it.
///
/// ```
/// use tower_inbox::archive::{ArchiveHealth, WriteState};
///
/// let mut health = ArchiveHealth::default();
/// health.writes = Some(WriteState::Working);
/// assert_eq!(health.damaged, None, "not known");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArchiveHealth {
    /// Whether deliveries can be written.
    pub writes: Option<WriteState>,
    /// Whether enough space is free for new deliveries.
    pub has_space: Option<bool>,
    /// The number of damaged places that were found since the archive was opened. An archive may stop counting at a
    /// limit that it documents.
    pub damaged: Option<u64>,
    /// The number of segments, or other parts, that are missing.
    pub missing: Option<u64>,
    /// The last round of maintenance; `None` also if none has finished yet.
    pub maintenance: Option<Maintenance>,
}

/// Whether an archive can write deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteState {
    /// The last write succeeded, or none was tried yet.
    Working,
    /// A write has not ended for so long that the storage seems to hang.
    Stalled,
    /// The last write failed. Later ones may succeed.
    Failing,
    /// Nothing is written until the archive is opened again.
    Stopped,
}

/// The last round of an archive's maintenance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Maintenance {
    /// When it ended.
    pub finished_at: SystemTime,
    /// Whether a part of it failed.
    pub failed: bool,
}

impl Maintenance {
    /// For archives: when a round ended, and whether a part of it failed.
    pub fn new(finished_at: SystemTime, failed: bool) -> Self {
        Self { finished_at, failed }
    }
}
