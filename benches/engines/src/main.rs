//! What durability costs: the archive beside a bare append loop, a file for each delivery, and `SQLite`.
//!
//! `cargo run --release --manifest-path benches/engines/Cargo.toml -- --help` lists the options.

#![allow(missing_docs, reason = "a benchmark has no readers of its documentation")]
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on ends"
)]

mod engine;
mod group;
mod load;
mod measure;
mod options;
#[path = "../../support"]
mod support {
    pub(crate) mod cpu;
    pub(crate) mod file_each;
    pub(crate) mod list;
    pub(crate) mod slow_sync;
    pub(crate) mod stats;
}

use std::{collections::BTreeMap, error::Error, fs, path::Path, sync::Arc};

use load::Load;
use measure::{Measured, measure};
use options::Options;
use support::stats::median;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse()?;
    let dir = tempfile::tempdir_in(&options.dir)?;
    println!(
        "sync + {:?}; {} rounds; vs limit: median of the ratios to the limit in the same round\n",
        options.sync_delay, options.rounds
    );
    for &kib in &options.sizes {
        // Bodies seldom fill whole pages, and what does is cheaper to append.
        let size = (kib << 10) + 333;
        let most = options.in_flight.iter().copied().max().unwrap_or(1);
        let load = Arc::new(Load::new(size, (options.bytes / size).max(4 * most)));
        for &in_flight in &options.in_flight {
            let name = format!("{kib}-{in_flight}");
            let measured = rounds(&options, &load, in_flight, &dir.path().join(&name)).await;
            print(&format!("{kib} KiB, {in_flight} in flight"), &measured, &options);
        }
    }
    Ok(())
}

type Rounds = BTreeMap<String, Vec<Measured>>;

async fn rounds(options: &Options, load: &Arc<Load>, in_flight: usize, dir: &Path) -> Rounds {
    let mut engines = vec!["limit".to_owned()];
    engines.extend(options.engines.iter().cloned());
    let mut measured = Rounds::new();
    // The first round warms up.
    for round in 0..=options.rounds {
        for name in &engines {
            let dir = dir.join(format!("{round}-{name}"));
            fs::create_dir_all(&dir).unwrap();
            let engine = engine::open(name, &dir, in_flight, options).await;
            let one = measure(engine, load, in_flight, options.time, &dir).await;
            engine::empty(name, &dir);
            if round > 0 {
                measured.entry(name.clone()).or_default().push(one);
            }
        }
        engines.rotate_left(1);
    }
    measured
}

fn print(title: &str, measured: &Rounds, options: &Options) {
    println!("{title}");
    println!(
        "  {:<10} {:>9} {:>8} {:>9} {:>8} {:>9} {:>8} {:>8} {:>8} {:>9} {:>9}",
        "engine",
        "acks/s",
        "vs limit",
        "p50 µs",
        "vs limit",
        "p99 µs",
        "vs limit",
        "CPU µs",
        "vs limit",
        "B/B body",
        "framing B"
    );
    let limit = &measured["limit"];
    for name in ["limit".to_owned()].iter().chain(&options.engines) {
        let of = |value: fn(&Measured) -> f64| median(measured[name].iter().map(value).collect());
        let ratio = |value: fn(&Measured) -> f64| {
            median(measured[name].iter().zip(limit).map(|(a, b)| value(a) / value(b)).collect())
        };
        println!(
            "  {name:<10} {:>9.0} {:>8.2} {:>9.0} {:>8.2} {:>9.0} {:>8.2} {:>8.1} {:>8.2} {:>9.2} {:>9.0}",
            of(|m| m.rate),
            ratio(|m| m.rate),
            of(|m| m.p50),
            ratio(|m| m.p50),
            of(|m| m.p99),
            ratio(|m| m.p99),
            of(|m| m.cpu),
            ratio(|m| m.cpu),
            of(|m| m.amplification),
            of(|m| m.framing),
        );
    }
    println!();
}
