//! Checks the signature over the exact bytes.

mod cap;
mod check;
mod gate;
mod kept;
mod pace;
mod quarantine;
mod service;
mod store;

pub(super) use check::rejected_by_head;
pub use quarantine::Quarantine;
pub use service::{VerifyFuture, VerifyLayer, VerifyService};
