//! Sends archived deliveries through a handler again.

mod one;
#[expect(clippy::module_inception, reason = "it is what the folder is named after")]
mod replay;
mod replayed;
mod replaying;

pub use replay::{Replay, ReplayError};
pub use replayed::{NotReplayed, Replayed};
pub use replaying::Replaying;
