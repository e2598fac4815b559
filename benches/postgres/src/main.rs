//! The archive on PostgreSQL beside a hand-written handler and a job queue.
//!
//! `cargo run --release --manifest-path benches/postgres/Cargo.toml -- --help` lists the options.

#![allow(missing_docs, reason = "a benchmark has no readers of its documentation")]
#![expect(
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a benchmark that fails ends"
)]

mod appends;
mod by_hand;
mod cpu;
mod end_to_end;
mod growth;
mod idle;
mod job_queue;
mod load;
mod options;
mod ours;
mod server;
#[path = "../../support"]
mod support {
    pub(crate) mod list;
    pub(crate) mod stats;
}

use std::error::Error;

use options::Options;
use server::Server;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse()?;
    let server = Server::start(&options.dir, options.flush_micros, &options.settings);
    let client = server.client().await;
    let version: String = client.query_one("SHOW server_version", &[]).await?.get(0);
    println!("PostgreSQL {version}; {} rounds of {:?}; medians\n", options.rounds, options.time);
    appends::run(&server, &client, &options).await;
    if options.only_appends {
        return Ok(());
    }
    end_to_end::run(&server, &client, &options).await;
    if !options.held.is_zero() {
        end_to_end::run_with_old_snapshot(&server, &client, &options).await;
    }
    if !options.idle.is_zero() {
        idle::run(&server, &client, &options).await;
    }
    if let Some(deliveries) = options.deliveries {
        growth::run(&server, &client, &options, deliveries).await;
    }
    Ok(())
}
