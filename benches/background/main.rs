//! How many deliveries an inbox accepts in the background mode while its workers are idle, busy, or failing, beside a
//! handler that verifies and decodes and keeps nothing.
//!
//! `cargo bench --bench background --all-features -- --help` lists the options.

#![allow(missing_docs, reason = "a benchmark has no readers of its documentation")]
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on ends"
)]

mod memory;
mod server;
#[path = "../support/mod.rs"]
mod support;

use std::error::Error;

use server::BENCH;
use support::http::{options::Options, rounds};

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse(&BENCH)?;
    if options.memory {
        return memory::measure();
    }
    rounds::run(&BENCH, &options)
}
