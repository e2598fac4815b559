//! The inbox: the one place that puts the layers into their order.

mod builder;
mod handle;
mod layer;

pub use builder::{BuildError, InboxBuilder};
pub use handle::Inbox;
pub use layer::{InboxLayer, InboxService};
