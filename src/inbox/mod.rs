//! The inbox: the one place that puts the layers into their order.

mod backlog;
mod builder;
mod counts;
mod hand;
mod handle;
mod layer;
mod release;
mod replay;
mod staff;
mod sweep;
mod tally;
mod types;
mod work;
mod worker;
mod workers;

pub use builder::{BuildError, InboxBuilder};
pub use counts::Counts;
pub use handle::Inbox;
pub use layer::{InboxLayer, InboxService};
pub use release::{NotReleased, Released};
pub use replay::{NotReplayed, Replay, ReplayError, Replayed, Replaying};
pub use types::TypeReport;
pub use workers::Workers;
