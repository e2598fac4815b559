//! The index of deliveries, which avoids reading their records: the position and state of each, and the queues, leases
//! and counts derived from the states.
//!
//! Unsettled deliveries, and entries that are not in an index file yet, are held in memory. All other settled
//! deliveries are only in index files; see [`index_file`](super::index_file).

mod entry;
mod flush;
#[expect(clippy::module_inception, reason = "it is what the folder is named after")]
mod index;
mod loading;
mod questions;
mod removal;
mod segment;
mod transitions;

pub(super) use entry::{Body, Damage, DeliveryEntry, IndexEntry, LogPosition, Position, Span};
pub(super) use flush::{AT_A_TIME, IndexSource, move_to};
pub(super) use index::{Index, SharedIndex};
pub(super) use questions::{Cursor, Found, each_found};
pub(super) use segment::ForeignRecord;
