//! The payloads of the providers on the market, each read from a fixture that follows the provider's documentation.

#![allow(
    clippy::expect_used,
    clippy::float_cmp,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says what it expects by panicking"
)]

mod bad_input;
mod documents;
mod every;
#[cfg(feature = "ed25519")]
mod fal_signature;
mod hostile;
mod lenient;
mod mangled;
mod media;
mod models;
mod odd_bodies;
mod profiles;
mod secrets;
mod signature;
mod signed;
mod speech;
#[path = "../provider_support/mod.rs"]
mod support;
mod thin;
mod tokens;
mod unknown;
mod with_head;
