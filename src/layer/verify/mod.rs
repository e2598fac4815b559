//! Checks the signature over the exact bytes, and keeps rejected deliveries in a quarantine.

mod quarantine;
mod quarantine_store;
mod service;

pub use quarantine::Quarantine;
pub(super) use service::rejected_by_head;
pub use service::{VerifyFuture, VerifyLayer, VerifyService};
