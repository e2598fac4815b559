//! Lets a delivery be handled once at a time, and not again once it was processed.

mod layer;
mod plan;
mod service;
mod turns;

pub use layer::DedupLayer;
pub use service::DedupService;
pub(super) use turns::Turns;
pub(crate) use turns::{Thing, Turn};
