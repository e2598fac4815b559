//! Loads the inference of an archived delivery into the model's type.

mod layer;
mod service;

pub use layer::DecodeLayer;
pub use service::DecodeService;
