//! The inbox: the one place that puts the layers, the archive and the workers together.

mod builder;
mod handle;
mod health;
mod layer;
mod release;
mod replay;
mod types;

pub use builder::{BuildError, InboxBuilder};
pub use handle::Inbox;
pub use health::{Health, HealthReason, HealthReport, HealthService};
pub use layer::{InboxLayer, InboxService};
pub use release::{NotReleased, Released};
pub use replay::{NotReplayed, Replay, ReplayError, Replayed, Replaying};
pub use types::TypeReport;
