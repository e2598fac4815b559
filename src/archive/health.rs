//! The condition of an archive, for health probes and metrics.

use std::time::{Duration, SystemTime};

/// The storage space of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StorageUsage {
    /// The bytes that the archive uses.
    pub used: u64,
    /// The free bytes on the storage of the archive; `None` if unknown.
    pub free: Option<u64>,
}

impl StorageUsage {
    /// For archives: the bytes used and free.
    pub fn new(used: u64, free: impl Into<Option<u64>>) -> Self {
        Self { used, free: free.into() }
    }
}

/// The condition of an archive. A field is `None` if its value is unknown.
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
    /// Whether there is enough free space for new deliveries.
    pub has_space: Option<bool>,
    /// The number of damaged places found since the archive was opened. An archive may document a limit at which it
    /// stops counting.
    pub damaged: Option<u64>,
    /// The number of segments, or other parts, that are missing.
    pub missing: Option<u64>,
    /// The last round of maintenance; `None` if unknown, or if no round has finished yet.
    pub maintenance: Option<Maintenance>,
    /// The condition of the database; `None` if unknown, or if the archive has none.
    pub database: Option<DatabaseHealth>,
}

/// A process that has an archive open, which several processes share.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Node {
    /// The name, unique among the nodes of the archive.
    pub name: String,
    /// The version of this crate that it runs.
    pub version: String,
    /// The time since it opened the archive.
    pub running_for: Duration,
    /// The time since it last reported to the archive.
    pub silent_for: Duration,
}

impl Node {
    /// For archives: a node that opened the archive, and last reported, this long ago.
    pub fn new(
        name: impl Into<String>,
        version: impl Into<String>,
        running_for: Duration,
        silent_for: Duration,
    ) -> Self {
        Self { name: name.into(), version: version.into(), running_for, silent_for }
    }
}

/// The condition of the database of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DatabaseHealth {
    /// Whether the database answers.
    pub reachable: bool,
    /// Whether the version of the schema fits this process; `None` if unknown.
    pub schema: Option<SchemaState>,
    /// Whether a synchronous standby is configured and connected; `None` if none is required, or if unknown.
    pub has_standby: Option<bool>,
}

impl DatabaseHealth {
    /// For archives: a database that answers or does not; everything else is unknown.
    pub fn new(reachable: bool) -> Self {
        Self { reachable, schema: None, has_standby: None }
    }
}

/// Whether the schema in a database fits the process that uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SchemaState {
    /// The process works with it.
    Usable,
    /// The database has no schema of an archive, or it is empty.
    Missing,
    /// It lacks versions that the process needs. Migrate it.
    Outdated,
    /// It was migrated to a version that is not compatible with the process. Update the process.
    TooNew,
}

/// Whether an archive can write deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteState {
    /// The last write succeeded, or no write has been attempted yet.
    Working,
    /// A write has been running for so long that the storage seems to hang.
    Stalled,
    /// The last write failed. Later ones may succeed.
    Failing,
    /// Writes are disabled until the archive is reopened.
    Stopped,
}

/// The last round of an archive's maintenance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Maintenance {
    /// The time at which the round ended.
    pub finished_at: SystemTime,
    /// Whether any part of the round failed.
    pub failed: bool,
}

impl Maintenance {
    /// For archives: the time at which a round ended, and whether any part of it failed.
    pub fn new(finished_at: SystemTime, failed: bool) -> Self {
        Self { finished_at, failed }
    }
}
