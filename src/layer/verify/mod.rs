//! Checks the signature over the exact bytes.

mod cap;
mod gate;
mod kept;
mod layer;
mod pace;
mod quarantine;
mod service;
mod store;

pub use layer::VerifyLayer;
pub use quarantine::Quarantine;
pub use service::VerifyService;
