//! Liveness and readiness probes of an inbox.

mod report;
mod service;

pub use report::{HealthReason, HealthReport};
pub use service::{Health, HealthService};
