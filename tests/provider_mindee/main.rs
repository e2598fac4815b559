//! The payloads of Mindee V2: what is read, written, accepted and refused.

#![allow(
    clippy::float_cmp,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says what it expects by panicking"
)]

mod bad_input;
mod catalogue;
mod hostile;
mod kinds;
mod round_trip;
mod signature;
#[path = "../provider_support/mod.rs"]
mod support;
mod typed;
mod unknown;
mod v1;
