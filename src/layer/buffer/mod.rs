//! Reads the body of a routed request once, within the limits of the model and of the inbox.

mod budget;
mod collect;
mod future;
mod read;
mod service;
mod timeout;

pub(super) use budget::Reservation;
pub use budget::{Budget, DEFAULT_BYTES_IN_FLIGHT};
pub use future::BufferFuture;
pub use service::{BufferLayer, BufferService};
