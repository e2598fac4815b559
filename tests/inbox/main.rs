//! The inbox from outside: through its layers, over sockets, and across processes.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test says what it expects by panicking"
)]

mod background;
mod background_crash;
mod bounded_work;
mod clock;
mod composition;
mod compressed;
mod crash;
mod fairness;
mod floors;
mod health;
mod histories;
mod hooks;
mod identity;
mod leases;
#[path = "../provider_support/meaning.rs"]
mod meaning;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "metrics")]
mod metrics_page;
#[path = "../provider_support/numbers.rs"]
mod numbers;
mod panics;
mod poison;
mod process;
mod quarantine;
mod receiver;
mod redaction;
mod rejections;
mod removal;
mod repeats;
mod replay;
mod script;
mod second_process;
mod security_page;
mod shutdown;
mod snapshots;
mod start_workers;
mod stuck;
mod support;
mod tolerant;
mod tower_http_layers;
mod unrecorded;
mod unverified;
mod verification;
mod wrapper;
