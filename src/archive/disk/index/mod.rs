//! What the archive knows without reading.

mod brief;
mod chunks;
mod damage;
#[expect(clippy::module_inception, reason = "it is what the folder is named after")]
mod index;
mod kept;
mod names;
mod questions;
mod reasons;
mod received;
mod record;
mod survey;
mod table;

pub(super) use damage::Damage;
pub(super) use index::Index;
pub(super) use kept::Kept;
pub(super) use survey::Survey;
