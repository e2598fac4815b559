//! The durable record of deliveries and of what became of each.
//!
//! [`Archive`] is the contract; [`DiskArchive`] keeps it on a disk, [`MemoryArchive`] for as long as the process lives.

mod contract;
#[cfg(feature = "disk")]
mod disk;
mod entries;
mod error;
mod line;
mod memory;
mod query;
#[cfg(feature = "disk")]
mod query_text;
mod retry;
mod room;

pub use contract::{Archive, Archived, Work};
#[cfg(feature = "disk")]
pub use disk::{Damage, DiskArchive, DiskArchiveBuilder, Stats, Verification};
#[cfg(all(feature = "disk", feature = "testing"))]
pub(crate) use disk::{Medium, MediumFile, RealDisk};
pub use entries::{Entries, EntrySender};
pub use error::ArchiveError;
pub use line::Line;
pub use memory::MemoryArchive;
pub use query::Query;
#[cfg(feature = "disk")]
use query_text::{nanos, parse as parse_query, parse_nanos, print as print_query};
pub use retry::retry;
pub use room::Room;
