//! The payloads of Mindee V2: decoding, encoding, verification and rejection.

#![allow(
    clippy::expect_used,
    clippy::float_cmp,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says what it expects by panicking"
)]

mod bad_input;
mod catalogue;
mod catalogue_fields;
mod catalogue_models;
mod hostile;
mod kinds;
mod round_trip;
mod signature;
#[path = "../provider_support/mod.rs"]
mod support;
mod tolerant;
mod typed;
mod unknown;
mod v1;
