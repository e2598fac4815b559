//! The payloads of Mindee V2: what is read, written, accepted and refused.

mod bad_input;
mod kinds;
mod round_trip;
mod signature;
#[path = "../provider_support/mod.rs"]
mod support;
mod typed;
