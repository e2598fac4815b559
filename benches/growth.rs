//! What grows with the number of settled deliveries in a disk archive, and what does not: each line is a ratio of an
//! archive with many to one with 10 000, measured side by side in one run.
//!
//! ```text
//! cargo bench --features testing --bench growth -- --deliveries 1000000
//! ```
//!
//! Each measurement runs in a process of its own, so that memory can be compared. One in a thousand deliveries is dead:
//! `--dead-every 2` makes it every second one. `--idle-seconds` sets how long the processor time of an idle archive is
//! measured, with maintenance at its default interval. Default: 5 seconds, with maintenance every 2 seconds.
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on says so by panicking")]

use std::{
    collections::BTreeMap,
    env, fs,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use lexopt::{Arg::Long, ValueExt};
use tower_inbox::{
    Archive, DeliveryId, DiskArchive, Outcome,
    archive::{Append, DiskArchiveBuilder, Query},
    delivery::{InferenceDigest, InferenceKey, StateKind},
    testing::Sample,
};

const FEW: usize = 10_000;
const TOGETHER: usize = 1000;

fn main() {
    let (mut many, mut child, mut dir) = (FEW * 2, None, None);
    let mut options = Options { dead_every: 1000, idle: None };
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next().unwrap() {
        match argument {
            Long("deliveries") => many = arguments.value().unwrap().parse().unwrap(),
            Long("measure") => child = Some(arguments.value().unwrap().string().unwrap()),
            Long("dead-every") => {
                options.dead_every = arguments.value().unwrap().parse().unwrap();
            }
            Long("idle-seconds") => {
                options.idle = Some(arguments.value().unwrap().parse().unwrap());
            }
            Long("dir") => dir = Some(arguments.value().unwrap()),
            // Cargo's own, such as `--bench`: then it is not run as a test.
            Long("bench") => many = many.max(1_000_000),
            _ => {}
        }
    }
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
    match (child, dir) {
        (Some(what), Some(dir)) => runtime.block_on(measure(&what, Path::new(&dir), options)),
        _ => compare(&runtime, many, options),
    }
}

#[derive(Clone, Copy)]
struct Options {
    dead_every: usize,
    /// In seconds.
    idle: Option<u64>,
}

fn compare(runtime: &tokio::runtime::Runtime, many: usize, options: Options) {
    let dirs = [FEW, many].map(|deliveries| (deliveries, tempfile::tempdir().unwrap()));
    for (deliveries, dir) in &dirs {
        let start = Instant::now();
        runtime.block_on(fill(dir.path(), *deliveries, options.dead_every));
        println!("filled {deliveries} in {:.1} s", start.elapsed().as_secs_f64());
    }
    println!("{:40} {:>12} {:>12} {:>8}", "", FEW, many, "ratio");
    let mut memory = BTreeMap::new();
    for what in STEPS {
        let values = dirs.each_ref().map(|(_, dir)| in_process(what, dir.path(), options));
        let values = values.map(|value| value.parse::<f64>().unwrap());
        let [few, many] = values;
        println!("{what:40} {few:>12.3} {many:>12.3} {:>8.1}", many / few.max(f64::MIN_POSITIVE));
        memory.insert(what, values);
    }
    if let Some([few, large]) = memory.get("memory, MB") {
        let more = f64::from(u32::try_from(many - FEW).unwrap());
        let each = (large - few) * 1e6 / more;
        println!("memory for each settled delivery: {each:.0} bytes");
    }
}

/// Runs a measurement in a process of its own.
fn in_process(what: &str, dir: &Path, options: Options) -> String {
    let mut command = Command::new(env::current_exe().unwrap());
    if let Some(idle) = options.idle {
        command.args(["--idle-seconds", &idle.to_string()]);
    }
    let output = command.args(["--measure", what, "--dir"]).arg(dir).output().unwrap();
    assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn builder(dir: &Path) -> DiskArchiveBuilder {
    DiskArchive::builder(dir).maintenance_interval(None).min_free_space(0)
}

/// Archives deliveries and settles them, and has all of them in index files.
async fn fill(dir: &Path, deliveries: usize, dead_every: usize) {
    let archive = builder(dir).open().await.unwrap();
    let sample = |number: usize| {
        let body = format!("{{\"id\":\"{number}\",\"fill\":\"{}\"}}", "x".repeat(270));
        Sample::of("/hooks/invoices").body(body).received_at(now()).delivery()
    };
    for from in (0..deliveries).step_by(TOGETHER) {
        let appends: Vec<_> = (from..deliveries.min(from + TOGETHER))
            .map(|number| {
                let one = sample(number);
                let key = InferenceKey::new(number.to_string());
                let inference = Some(InferenceDigest::of(one.model(), &key, one.digest()));
                let append = Append::new(one).leased_for(Duration::from_secs(60));
                (number, inference, archive.append(append))
            })
            .collect();
        let mut settles = Vec::new();
        for (number, inference, append) in appends {
            let lease = append.await.unwrap().lease.unwrap();
            let outcome = if number % dead_every == dead_every / 2 {
                Outcome::dead("the handler answered 422")
            } else {
                Outcome::processed(200).with_inference(inference)
            };
            settles.push(archive.settle(lease, outcome, Duration::ZERO));
        }
        for settle in settles {
            settle.await.unwrap();
        }
        if from % (100 * TOGETHER) == 0 {
            archive.maintain_now().await.unwrap();
        }
    }
    archive.maintain_now().await.unwrap();
    archive.close().await;
}

/// In the order in which they run: the last ones change the archive.
const STEPS: [&str; 15] = [
    "open, ms",
    "memory, MB",
    "read one by id in a new process, ms",
    "memory of that, MB",
    "counts in a new process, ms",
    "list the dead in a new process, ms",
    "list the latest 50 in a new process, ms",
    "append, slowest of 2000, ms",
    "append beside maintenance, slowest, ms",
    "append beside a full listing, slowest, ms",
    "processor time while idle, ms",
    "append beside retry of all dead, slowest, ms",
    "erase one, ms",
    "erase 100, ms",
    "purge all: bytes left on disk for each",
];

async fn measure(what: &str, dir: &Path, options: Options) {
    let ms = |start: Instant| start.elapsed().as_secs_f64() * 1e3;
    let start = Instant::now();
    let value = match what {
        "open, ms" => {
            let archive = builder(dir).open().await.unwrap();
            let value = ms(start);
            archive.close().await;
            value
        }
        "memory, MB" => {
            let archive = builder(dir).open().await.unwrap();
            archive.maintain_now().await.unwrap();
            resident()
        }
        "read one by id in a new process, ms" | "memory of that, MB" => {
            let id = some_id(dir, options);
            let start = Instant::now();
            let archive = DiskArchive::read_only(dir).await.unwrap();
            assert!(archive.get(id).await.unwrap().is_some());
            if what.ends_with("ms") { ms(start) } else { resident() }
        }
        "counts in a new process, ms" => {
            let archive = DiskArchive::read_only(dir).await.unwrap();
            assert!(archive.stats().await.unwrap().deliveries > 0);
            ms(start)
        }
        "list the dead in a new process, ms" => {
            let archive = DiskArchive::read_only(dir).await.unwrap();
            let mut dead = archive.ledger(Query::all().state(StateKind::Dead));
            let mut found = 0;
            while let Some(entry) = dead.next().await {
                entry.unwrap();
                found += 1;
            }
            assert!(found > 0);
            ms(start)
        }
        "list the latest 50 in a new process, ms" => {
            let archive = DiskArchive::read_only(dir).await.unwrap();
            assert_eq!(archive.latest(Query::all(), 50).await.unwrap().len(), 50);
            ms(start)
        }
        "append, slowest of 2000, ms" => slowest_beside(dir, async |_| {}).await,
        "append beside maintenance, slowest, ms" => {
            slowest_beside(dir, async |archive| archive.maintain_now().await.unwrap()).await
        }
        "append beside a full listing, slowest, ms" => {
            slowest_beside(dir, async |archive| {
                let mut all = archive.ledger(Query::all());
                while let Some(entry) = all.next().await {
                    entry.unwrap();
                }
            })
            .await
        }
        "processor time while idle, ms" => {
            let mut builder = DiskArchive::builder(dir).min_free_space(0);
            if options.idle.is_none() {
                builder = builder.maintenance_interval(Duration::from_secs(2));
            }
            let archive = builder.open().await.unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
            let before = processor_time();
            tokio::time::sleep(Duration::from_secs(options.idle.unwrap_or(5))).await;
            let value = processor_time() - before;
            archive.close().await;
            value
        }
        "oldest" => {
            let archive = DiskArchive::read_only(dir).await.unwrap();
            let mut all = archive.ledger(Query::all());
            println!("{}", all.next().await.unwrap().unwrap().id);
            return;
        }
        other => change(other, dir).await,
    };
    println!("{value}");
}

/// The measurements that change the archive.
async fn change(what: &str, dir: &Path) -> f64 {
    let ms = |start: Instant| start.elapsed().as_secs_f64() * 1e3;
    match what {
        "append beside retry of all dead, slowest, ms" => {
            slowest_beside(dir, async |archive| {
                archive.retry(Query::all().state(StateKind::Dead)).await.unwrap();
            })
            .await
        }
        "erase one, ms" | "erase 100, ms" => {
            let archive = builder(dir).open().await.unwrap();
            let many = if what == "erase one, ms" { 1 } else { 100 };
            let processed = Query::all().state(StateKind::Processed);
            let latest = archive.latest(processed, many).await.unwrap();
            let start = Instant::now();
            let query = Query::all().ids(latest.iter().map(|entry| entry.id));
            assert_eq!(archive.remove(query).await.unwrap(), many as u64);
            ms(start)
        }
        "purge all: bytes left on disk for each" => {
            let archive = builder(dir)
                .segment_age(Duration::ZERO)
                .compress_after(Duration::ZERO)
                .open()
                .await
                .unwrap();
            archive.maintain_now().await.unwrap();
            archive.remove(Query::all()).await.unwrap();
            // The next delivery makes the segment with the records of the removal one that is sealed for its age.
            let next = Sample::of("/hooks/invoices").body("next").received_at(now()).delivery();
            let _ = archive.append(Append::new(next)).await.unwrap();
            let mut bytes = u64::MAX;
            // Until maintenance finds nothing more to do.
            loop {
                archive.maintain_now().await.unwrap();
                let now = bytes_in(dir);
                if now == bytes {
                    break;
                }
                bytes = now;
            }
            let removed = archive.stats().await.unwrap().removed;
            archive.close().await;
            u32::try_from(bytes / removed.max(1)).unwrap().into()
        }
        other => unreachable!("{other}"),
    }
}

fn bytes_in(dir: &Path) -> u64 {
    let files = fs::read_dir(dir).unwrap().map(|file| file.unwrap().metadata().unwrap());
    files.map(|metadata| metadata.len()).sum()
}

/// The oldest delivery. Found by another process, whose memory does not count.
fn some_id(dir: &Path, options: Options) -> DeliveryId {
    in_process("oldest", dir, options).parse().unwrap()
}

/// The slowest of appends, one after the other, while something is done in a loop. In milliseconds.
async fn slowest_beside(dir: &Path, work: impl AsyncFn(&DiskArchive) + Send + 'static) -> f64 {
    let archive = Arc::new(builder(dir).open().await.unwrap());
    let done = Arc::new(AtomicBool::new(false));
    let (writing, is_done) = (Arc::clone(&archive), Arc::clone(&done));
    let appends = tokio::spawn(async move {
        let mut slowest = Duration::ZERO;
        for number in 0..2000 {
            let one = Sample::of("/hooks/invoices").body(format!("{{\"later\":{number}}}"));
            let one = one.received_at(now()).delivery().with_id(DeliveryId::new());
            let start = Instant::now();
            let _ = writing.append(Append::new(one)).await.unwrap();
            slowest = slowest.max(start.elapsed());
        }
        is_done.store(true, Ordering::Relaxed);
        slowest
    });
    while !done.load(Ordering::Relaxed) {
        work(&archive).await;
        tokio::task::yield_now().await;
    }
    let slowest = appends.await.unwrap();
    archive.remove(Query::all().pending()).await.unwrap();
    slowest.as_secs_f64() * 1e3
}

/// The time since 1970.
fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap()
}

/// The memory of this process, in MB.
fn resident() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
    line.trim().trim_end_matches("kB").trim().parse::<f64>().unwrap_or(0.0) / 1e3
}

/// The time for which this process has had a processor, in milliseconds, in steps of ten.
fn processor_time() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|it| it.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) * 10.0
}
