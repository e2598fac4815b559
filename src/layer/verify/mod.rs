//! Checks the signature over the exact bytes.

mod cap;
mod layer;
mod quarantine;
mod service;

pub use layer::VerifyLayer;
pub use quarantine::Quarantine;
pub use service::VerifyService;
