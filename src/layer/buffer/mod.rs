//! Reads the body of a routed request once, within the limits of the model and of the inbox.

mod budget;
mod collect;
mod read;
mod service;

pub(super) use budget::Reservation;
pub use budget::{Budget, DEFAULT_BYTES_IN_FLIGHT};
pub use service::{BufferFuture, BufferLayer, BufferService};
