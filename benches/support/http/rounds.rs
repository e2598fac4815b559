//! Servers over loopback HTTP, side by side in alternating rounds.

use std::{
    collections::BTreeMap, error::Error, fs, path::Path, pin::Pin, sync::Arc, time::Duration,
};

use axum::Router;
use tokio::runtime::Runtime;
use tower_inbox::{DiskArchive, Inbox, Secret, provider::mindee, signature::HmacBody};

use super::{
    client::{Run, send_all},
    extraction,
    options::Options,
};
use crate::support::{cpu, stats::median};

pub(crate) const PATH: &str = "/hooks/invoices";

pub(crate) fn scheme() -> HmacBody {
    mindee::signature(Secret::new("the signing secret of the endpoint"))
}

/// A server, and the channel that stops it.
pub(crate) struct Server {
    pub(crate) app: Router,
    pub(crate) end: Option<DiskArchive>,
    pub(crate) inbox: Option<Inbox>,
}

type Starting<'a> = Pin<Box<dyn Future<Output = Server> + 'a>>;

/// The compared servers.
pub(crate) struct Bench {
    /// The name of each server, and its handling of a delivery. The first is the server without an archive.
    pub(crate) servers: &'static [(&'static str, &'static str)],
    pub(crate) server: for<'a> fn(&'a str, &'a Path, Duration) -> Starting<'a>,
}

pub(crate) fn run(bench: &Bench, options: &Options) -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir_in(&options.dir)?;
    println!(
        "sync + {:?}; {} connections; {} rounds; vs bare: median of the ratios in the same round\n",
        options.sync_delay, options.connections, options.rounds
    );
    for &kib in &options.sizes {
        let requests = Arc::new(requests(kib << 10, options.bytes));
        let measured = rounds(bench, options, &requests, &dir.path().join(kib.to_string()));
        print(bench, kib, &measured);
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
            PATH,
            body.len(),
        )
        .into_bytes()
    };
    (0..bytes / size).map(request).collect()
}

type Rounds = BTreeMap<String, Vec<Run>>;

fn rounds(bench: &Bench, options: &Options, requests: &Arc<Vec<Vec<u8>>>, dir: &Path) -> Rounds {
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
            let run = one(bench, name, &dir, requests, options, (&theirs, &ours));
            if round > 0 {
                measured.entry(name.clone()).or_default().push(run);
            }
        }
        names.rotate_left(1);
    }
    measured
}

fn one(
    bench: &Bench,
    name: &str,
    dir: &Path,
    requests: &Arc<Vec<Vec<u8>>>,
    options: &Options,
    (server_runtime, client_runtime): (&Runtime, &Runtime),
) -> Run {
    let Server { app, end, inbox } =
        server_runtime.block_on((bench.server)(name, dir, options.sync_delay));
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
    if let Some(inbox) = inbox {
        server_runtime.block_on(inbox.shutdown(Duration::ZERO));
    }
    if let Some(archive) = end {
        server_runtime.block_on(archive.close());
    }
    run
}

fn print(bench: &Bench, kib: usize, measured: &Rounds) {
    println!("{kib} KiB");
    println!(
        "  {:<12} {:>9} {:>8} {:>9} {:>9} {:>9} {:>8}  what it does",
        "server", "answers/s", "vs bare", "p50 µs", "p99 µs", "CPU µs", "vs bare"
    );
    let bare = &measured["bare"];
    for &(name, what) in bench.servers {
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
