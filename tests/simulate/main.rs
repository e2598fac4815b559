//! The simulated sender and the simulated API of Mindee, against an inbox.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod api;
mod clients;
mod faults;
mod gauntlet;
mod recovery;
mod support;
