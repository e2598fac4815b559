//! Tower layers that receive the results of hosted models by webhook, inside any axum, hyper or tower server.

pub mod archive;
#[cfg(feature = "axum")]
pub mod axum;
pub mod delivery;
mod inbox;
pub mod layer;
pub mod provider;
pub mod signature;
#[cfg(feature = "testing")]
pub mod testing;

#[cfg(feature = "disk")]
pub use archive::DiskArchive;
pub use archive::{Archive, MemoryArchive};
pub use delivery::{Delivery, DeliveryId, Digest, ModelName, Outcome, Receipt};
pub use inbox::{BuildError, Inbox, InboxBuilder, InboxLayer, InboxService};
pub use layer::Captures;
pub use provider::{Inference, Model};
pub use signature::Secret;
