//! In the background mode: answers as soon as there is a receipt, and leaves the delivery to the workers.

mod again;
mod future;
mod layer;
mod service;

pub use future::AcceptFuture;
pub use layer::AcceptLayer;
pub use service::AcceptService;
