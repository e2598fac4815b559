//! The simulated sender and the simulated APIs of Mindee and FoxyAI, against an inbox.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod api;
mod clients;
mod faults;
mod foxyai;
mod gauntlet;
mod gauntlet_providers;
mod recovery;
mod retry;
mod support;
