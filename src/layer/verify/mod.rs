//! Checks the signature over the exact bytes.

mod cap;
mod gate;
mod kept;
mod pace;
mod quarantine;
mod service;
mod store;

pub use quarantine::Quarantine;
pub use service::{VerifyLayer, VerifyService};
