//! How many deliveries are archived of senders that close the connection at once: the table of `docs/http.md`.
//!
//! `cargo bench --bench closing --all-features`. The numbers of servers without `half_close` differ from run to run.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run says so by panicking")]

#[path = "../tests/http/closing.rs"]
mod closing;
#[path = "../tests/http/server.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod server;

use closing::{DELIVERIES, Ending, archived_and_answered};
use server::Kind;

#[tokio::main(worker_threads = 2)]
async fn main() {
    println!("of {DELIVERIES} deliveries");
    for padding in [0, 100_000] {
        for kind in [Kind::Axum, Kind::Hyper, Kind::HalfClose] {
            for ending in [Ending::ShutdownWrite, Ending::Close, Ending::Reset] {
                let (archived, answered) = archived_and_answered(kind, ending, padding).await;
                println!(
                    "{padding} bytes, {kind:?}, {ending:?}: {archived} archived, {answered} answered"
                );
            }
        }
    }
}
