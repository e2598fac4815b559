//! Recognises an inference that was processed before, in another delivery.

mod layer;
mod service;

pub use layer::SingleLayer;
pub use service::SingleService;
