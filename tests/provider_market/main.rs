//! The payloads of the market's providers, each read from a fixture of our own after what the provider publishes.

#![allow(
    clippy::float_cmp,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says what it expects by panicking"
)]

mod bad_input;
mod documents;
mod media;
mod models;
mod profiles;
mod secrets;
mod speech;
#[path = "../provider_support/mod.rs"]
mod support;
mod thin;
mod with_head;
