//! Tests of the inbox through its layers, over sockets, and across processes.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test says what it expects by panicking"
)]

mod archive_failures;
mod background;
mod background_crash;
mod batches;
mod clock;
mod composition;
mod compressed;
mod crash;
mod delivery_identity;
mod expectations;
mod floors;
mod handler_tests;
mod health;
mod histories;
mod inference_versions;
mod lost_leases;
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
mod quarantine;
mod receiver;
mod redaction;
mod rejections;
mod removal_races;
mod repeats;
mod replay;
mod retries;
mod security_page;
mod shutdown;
mod start_workers;
mod support;
mod tolerant_decoding;
mod tower_http_layers;
mod unverified;
mod verification;
mod worker_fairness;
mod worker_reads;
