//! Appends the delivery to the archive and waits until it is durable. From here on a client that hangs up changes
//! nothing.

mod early;
mod future;
mod layer;
mod service;

pub use future::ArchiveFuture;
pub use layer::ArchiveLayer;
pub use service::ArchiveService;
