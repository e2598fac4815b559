//! How long opening an archive takes, as a ratio to reading its files once.
//!
//! ```text
//! cargo bench --features testing --bench open -- --mib 1024 --body 20000 --rounds 3
//! ```
//!
//! Without `--cold` all of it is in the page cache, so that the ratio is that of the work, not of the disk. With it the
//! files are dropped from the cache before each step, as after a start of the machine. Rounds alternate.
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on says so by panicking")]

use std::{
    fs::{self, File},
    io::Read,
    path::Path,
    time::{Duration, Instant},
};

use lexopt::{Arg::Long, ValueExt};
use tower_inbox::{
    Archive, DiskArchive, Outcome,
    archive::{Append, DiskArchiveBuilder},
    testing::Sample,
};

struct Size {
    mib: usize,
    body: usize,
    rounds: usize,
    cold: bool,
}

impl Size {
    fn parse() -> Self {
        // Without a word it is small: `cargo test --benches` runs it as well.
        let mut size = Self { mib: 16, body: 20_000, rounds: 3, cold: false };
        let mut arguments = lexopt::Parser::from_env();
        while let Some(argument) = arguments.next().unwrap() {
            match argument {
                Long("mib") => size.mib = arguments.value().unwrap().parse().unwrap(),
                Long("body") => size.body = arguments.value().unwrap().parse().unwrap(),
                Long("rounds") => size.rounds = arguments.value().unwrap().parse().unwrap(),
                Long("cold") => size.cold = true,
                // Cargo's own, such as `--bench`.
                _ => {}
            }
        }
        size
    }
}

impl Size {
    /// Drops the files from the page cache, where that is wanted.
    fn prepare(&self, path: &Path) {
        for file in fs::read_dir(path).unwrap().map(|file| file.unwrap().path()) {
            if self.cold {
                let file = File::open(file).unwrap();
                file.sync_all().unwrap();
                #[cfg(unix)]
                rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
            }
        }
    }
}

fn builder(path: &Path) -> DiskArchiveBuilder {
    DiskArchive::builder(path)
        .maintenance_interval(None)
        .compress_after(None)
        .segment_size(64 << 20)
}

#[tokio::main]
async fn main() {
    let size = Size::parse();
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), &size).await;
    let (mut read, mut plain, mut indexed) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..size.rounds {
        remove_indexes(dir.path());
        size.prepare(dir.path());
        read.push(timed_reading(dir.path()));
        size.prepare(dir.path());
        plain.push(timed_opening(dir.path()).await);
        let archive = builder(dir.path()).open().await.unwrap();
        archive.maintain_now().await.unwrap();
        drop(archive);
        size.prepare(dir.path());
        read.push(timed_reading(dir.path()));
        size.prepare(dir.path());
        indexed.push(timed_opening(dir.path()).await);
    }
    let (read, plain, indexed) = (median(read), median(plain), median(indexed));
    let ratio = |time: Duration| time.as_secs_f64() / read.as_secs_f64();
    println!("{} MiB in bodies of {} bytes, {} rounds, medians", size.mib, size.body, size.rounds);
    println!("reading every file once       1.00  ({read:?})");
    println!("opening without index files   {:.2}  ({plain:?})", ratio(plain));
    println!("opening with index files      {:.2}  ({indexed:?})", ratio(indexed));
}

async fn fill(path: &Path, size: &Size) {
    let archive = builder(path).segment_age(Duration::ZERO).open().await.unwrap();
    let many = (size.mib << 20) / size.body;
    for batch in (0..many).step_by(500) {
        let work: Vec<_> = (batch..many.min(batch + 500))
            .map(|number| {
                let body = format!("{number:0width$}", width = size.body);
                let delivery = Sample::of("/bench").body(body).delivery();
                archive.append(Append::new(delivery).leased_for(Duration::from_secs(60)))
            })
            .collect();
        for work in work {
            let lease = work.await.unwrap().lease.unwrap();
            drop(archive.settle(lease, Outcome::processed(200), Duration::ZERO));
        }
    }
    // Sealed to the last, so that all of it can have index files.
    archive.maintain_now().await.unwrap();
}

fn remove_indexes(path: &Path) {
    for file in fs::read_dir(path).unwrap().map(|file| file.unwrap().path()) {
        if file.extension().is_some_and(|extension| extension == "idx") {
            fs::remove_file(file).unwrap();
        }
    }
}

fn timed_reading(path: &Path) -> Duration {
    let mut buffer = vec![0; 512 * 1024];
    let start = Instant::now();
    for file in fs::read_dir(path).unwrap().map(|file| file.unwrap().path()) {
        if file.extension().is_some_and(|extension| extension == "warc") {
            let mut file = File::open(file).unwrap();
            while file.read(&mut buffer).unwrap() > 0 {}
        }
    }
    start.elapsed()
}

async fn timed_opening(path: &Path) -> Duration {
    let start = Instant::now();
    let archive = builder(path).open().await.unwrap();
    let took = start.elapsed();
    drop(archive);
    took
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
