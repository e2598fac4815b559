//! The inbox: assembles the layers, the archive and the workers.

mod builder;
mod expectations;
mod handle;
mod health;
mod overdue;
mod release;
mod replay;
mod type_check;

pub use builder::{BuildError, InboxBuilder};
pub use expectations::{ExpectError, Expectations, OverdueResult};
pub use handle::{Inbox, InboxLayer, InboxService};
pub use health::{Health, HealthReason, HealthReport, HealthService};
pub use release::{NotReleased, Released};
pub use replay::{NotReplayed, Replay, ReplayError, Replayed, Replaying};
pub use type_check::TypeReport;
