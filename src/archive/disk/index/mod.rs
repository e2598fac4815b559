//! What the archive knows of its deliveries without reading them: the position and state of each, and the queues, leases
//! and counts that follow from the states.
//!
//! Of what is settled, only index files know; see [`index_file`](super::index_file). In memory is what is not settled, and
//! what index files do not tell yet.

mod entry;
mod fold;
#[expect(clippy::module_inception, reason = "it is what the folder is named after")]
mod index;
mod loading;
mod questions;
mod removal;
mod segment;
mod transitions;

pub(super) use entry::{Body, Damage, DeliveryEntry, IndexEntry, LogPosition, Position, Span};
pub(super) use fold::{AT_A_TIME, Basis, move_to};
pub(super) use index::Index;
pub(super) use questions::{Cursor, Found, each_found};
