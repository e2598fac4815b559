//! Calls the service inside with the delivery, and settles what became of it.

mod future;
mod layer;
mod service;

pub use future::RunFuture;
pub use layer::RunLayer;
pub use service::RunService;
