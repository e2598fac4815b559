//! The durable store of deliveries and their states.
//!
//! [`Archive`] is the trait. [`DiskArchive`] stores deliveries on disk, [`MemoryArchive`] for the lifetime of the
//! process. `PostgresArchive` (feature `postgres`) is shared by several nodes.

mod contract;
mod counts;
#[cfg(feature = "disk")]
mod disk;
mod entries;
mod error;
mod health;
mod lease;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
mod query;
#[cfg(feature = "disk")]
mod query_text;
mod transition;
mod unsettled;

pub use contract::{
    Acquire, Acquired, Append, Appended, Archive, Archived, Begun, Capacity, Claim, Claimed,
    MAX_HISTORY, Release, StateChange, Work,
};
pub use counts::Counts;
#[cfg(feature = "disk")]
pub use disk::{Backup, Damage, DiskArchive, DiskArchiveBuilder, Restored, Stats, Verification};
#[cfg(all(feature = "disk", feature = "testing"))]
pub(crate) use disk::{DiskFile, FileId, FileSystem, Lock, RealDisk};
pub use entries::{Entries, EntrySender, LedgerEntry, RemovedEntry};
pub use error::ArchiveError;
pub use health::{
    ArchiveHealth, DatabaseHealth, Maintenance, Node, SchemaState, StorageUsage, WriteState,
};
pub(crate) use lease::LEASE_LENGTH;
pub use lease::{Lease, LeaseToken};
pub use memory::MemoryArchive;
#[cfg(feature = "postgres")]
pub use postgres::{
    DatabaseSize, LedgerFollower, PostgresArchive, PostgresArchiveBuilder, PostgresUrl,
    SchemaStatus,
};
pub use query::{Query, StateFilter};
#[cfg(feature = "disk")]
use query_text::{nanos, parse as parse_query, parse_nanos, print as print_query};
