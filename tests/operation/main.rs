//! Alerts fire when their condition occurs, and the documentation matches the metrics.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test says what it expects by panicking"
)]

mod alerts;
mod copies;
mod gauges;
mod many_nodes;
mod page;
mod promtool;
mod runs;
#[path = "../inbox/support/acme.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod support;
#[path = "../inbox/support/archive_wrapper.rs"]
mod wrapper;
