//! What the archive knows without reading.

mod chunks;
mod damage;
mod entry_ref;
#[expect(clippy::module_inception, reason = "it is what the folder is named after")]
mod index;
mod names;
mod packed_state;
mod questions;
mod reasons;
mod received;
mod record;
mod survey;
mod table;
mod transitions;

pub(super) use damage::Damage;
pub(super) use entry_ref::EntryRef;
pub(super) use index::{Index, index_full};
pub(super) use survey::Survey;
