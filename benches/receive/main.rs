//! What the inbox costs a whole server: over loopback HTTP, beside handlers written by hand.
//!
//! `cargo bench --bench receive --all-features -- --help` tells what can be chosen.

#![allow(missing_docs, reason = "a benchmark has no readers of its documentation")]
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on ends"
)]

mod client;
mod extraction;
mod memory;
mod options;
mod server;
#[path = "../support/mod.rs"]
mod support;

use std::{collections::BTreeMap, error::Error, fs, path::Path, sync::Arc};

use client::{Run, send_all};
use options::Options;
use server::{SERVERS, Server, scheme, server};
use support::{cpu, stats::median};
use tokio::runtime::Runtime;

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse()?;
    if options.memory_server {
        return memory::serve(&options);
    }
    if options.memory {
        return memory::measure(&options);
    }
    let dir = tempfile::tempdir_in(&options.dir)?;
    println!(
        "sync + {:?}; {} connections; {} rounds; vs bare: median of the ratios in the same round\n",
        options.sync_delay, options.connections, options.rounds
    );
    for &kib in &options.sizes {
        let requests = Arc::new(requests(kib << 10, options.bytes));
        let measured = rounds(&options, &requests, &dir.path().join(kib.to_string()));
        print(kib, &measured);
    }
    Ok(())
}

/// Requests whose bodies differ, signed.
fn requests(size: usize, bytes: usize) -> Vec<Vec<u8>> {
    let scheme = scheme();
    let request = |n| {
        let body = extraction::extraction(n, size);
        let signature = scheme.sign(body.as_bytes()).unwrap();
        format!(
            "POST {} HTTP/1.1\r\nhost: inbox.example.com\r\nuser-agent: python-requests/2.32.3\r\n\
             accept: */*\r\ncontent-type: application/json\r\nx-signature: {signature}\r\n\
             content-length: {}\r\n\r\n{body}",
            server::PATH,
            body.len(),
        )
        .into_bytes()
    };
    (0..bytes / size).map(request).collect()
}

type Rounds = BTreeMap<String, Vec<Run>>;

fn rounds(options: &Options, requests: &Arc<Vec<Vec<u8>>>, dir: &Path) -> Rounds {
    // One thread for the server, one for all clients: the same for every server.
    let one_thread = |name: &str| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).thread_name(name).enable_all().build().unwrap()
    };
    let (theirs, ours) = (one_thread("server"), one_thread("clients"));
    let mut names = vec!["bare".to_owned()];
    names.extend(options.servers.iter().cloned());
    let mut measured = Rounds::new();
    // The first round warms up.
    for round in 0..=options.rounds {
        for name in &names {
            let dir = dir.join(format!("{round}-{name}"));
            fs::create_dir_all(&dir).unwrap();
            let run = one(name, &dir, requests, options, (&theirs, &ours));
            if round > 0 {
                measured.entry(name.clone()).or_default().push(run);
            }
        }
        names.rotate_left(1);
    }
    measured
}

fn one(
    name: &str,
    dir: &Path,
    requests: &Arc<Vec<Vec<u8>>>,
    options: &Options,
    (server_runtime, client_runtime): (&Runtime, &Runtime),
) -> Run {
    let Server { app, end } = server_runtime.block_on(server(name, dir, options.sync_delay));
    let listener = server_runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let serving = server_runtime.spawn(async move { axum::serve(listener, app).await });
    let answers = requests.len() as f64;
    let (requests, connections) = (Arc::clone(requests), options.connections);
    let sending =
        client_runtime.spawn(async move { send_all(address, &requests, connections).await });
    let worked = cpu::micros("clients");
    let mut run = client_runtime.block_on(sending).unwrap();
    run.cpu = (cpu::micros("clients") - worked) / answers;
    serving.abort();
    if let Some(archive) = end {
        server_runtime.block_on(archive.close());
    }
    run
}

fn print(kib: usize, measured: &Rounds) {
    println!("{kib} KiB");
    println!(
        "  {:<12} {:>9} {:>8} {:>9} {:>9} {:>9} {:>8}  what it does",
        "server", "answers/s", "vs bare", "p50 µs", "p99 µs", "CPU µs", "vs bare"
    );
    let bare = &measured["bare"];
    for (name, what) in SERVERS {
        let Some(runs) = measured.get(name) else { continue };
        let of = |value: fn(&Run) -> f64| median(runs.iter().map(value).collect());
        let ratio = |value: fn(&Run) -> f64| {
            median(runs.iter().zip(bare).map(|(a, b)| value(a) / value(b)).collect())
        };
        println!(
            "  {name:<12} {:>9.0} {:>8.2} {:>9.0} {:>9.0} {:>9.1} {:>8.2}  {what}",
            of(|run| run.rate),
            ratio(|run| run.rate),
            of(|run| run.p50),
            of(|run| run.p99),
            of(|run| run.cpu),
            ratio(|run| run.cpu),
        );
    }
    println!();
}
