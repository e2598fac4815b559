//! Reads the body of a claimed request once, within the model's limit and deadline and the inbox's budget of bytes.

mod budget;
mod collect;
mod layer;
mod read;
mod service;

pub(super) use budget::Reservation;
pub use budget::{Budget, DEFAULT_BYTES_IN_FLIGHT};
pub use layer::BufferLayer;
pub use read::ReadBody;
pub use service::BufferService;
