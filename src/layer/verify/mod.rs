//! Checks the signature over the exact bytes.

mod layer;
mod service;

pub use layer::VerifyLayer;
pub use service::VerifyService;
