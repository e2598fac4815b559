//! A node in a process of its own: this test binary, started again with the variables below. Nodes append deliveries
//! with the same keys, and claim and settle them. Each logs the results of its operations to a file, which
//! [`Results`](super::results::Results) compares with the archive.

use std::{
    env,
    fs::{File, OpenOptions},
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::time::sleep;
use tower_inbox::{
    Archive, Digest, ModelName, Outcome,
    archive::{Append, ArchiveError, Begun, Claim, Lease, PostgresArchive, Release},
    delivery::{Delivery, InferenceDigest, InferenceKey},
    testing::Sample,
};
use uuid::Uuid;

use super::support::signal;

pub(crate) const MODEL: &str = "/hooks/load";
/// The length of the leases of nodes, which they do not renew.
pub(crate) const LEASE: Duration = Duration::from_secs(1);

const URL: &str = "INBOX_NODE_URL";
const LOG: &str = "INBOX_NODE_LOG";
const NODE: &str = "INBOX_NODE_NUMBER";
/// The seconds by which the clock of the node is wrong.
const SKEW: &str = "INBOX_NODE_SKEW";

pub(crate) fn model() -> ModelName {
    MODEL.parse().unwrap()
}

/// A body that depends on the key only.
pub(crate) fn body_of(key: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(key);
    let mut body = format!("{key}\n").into_bytes();
    body.extend((0..random.usize(100..12_000)).map(|_| random.u8(..)));
    body
}

pub(crate) fn key_of(body: &[u8]) -> u64 {
    let line = body.split(|byte| *byte == b'\n').next().unwrap();
    std::str::from_utf8(line).unwrap().parse().unwrap()
}

pub(crate) fn delivery(key: u64) -> Delivery {
    Sample::of(MODEL).body(body_of(key)).delivery()
}

pub(crate) fn claim(limit: usize) -> Claim {
    Claim::new(vec![(model(), limit)], limit).leased_for(LEASE)
}

/// Eight keys belong to the same inference.
fn inference_of(key: u64) -> InferenceDigest {
    let id = InferenceKey::new((key / 8).to_string());
    InferenceDigest::of(&model(), &id, Digest::of(&body_of(key)))
}

/// The results of the operations of a node. A line is written by one call, so it survives the process.
struct Log {
    file: File,
    skew: i64,
}

impl Log {
    fn write(&self, line: &str) {
        (&self.file).write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// The time in microseconds, without the skew of this node.
    fn now(&self) -> i64 {
        let micros = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
        i64::try_from(micros).unwrap() - self.skew * 1_000_000
    }
}

struct Worker {
    archive: PostgresArchive,
    log: Log,
    /// Distinguishes the outcomes of nodes.
    status: u16,
}

/// Runs in a process of its own, and returns at once otherwise.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_process() {
    let Ok(url) = env::var(URL) else { return };
    let file = OpenOptions::new().append(true).create(true).open(env::var(LOG).unwrap()).unwrap();
    let skew = env::var(SKEW).unwrap().parse().unwrap();
    let status = 200 + env::var(NODE).unwrap().parse::<u16>().unwrap();
    // Closed when the test ends in any way.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let archive = loop {
        let builder = PostgresArchive::builder(&url).statement_deadline(Duration::from_secs(4));
        match builder.maintenance_interval(Duration::from_secs(1)).open().await {
            Ok(archive) => break archive,
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    };
    let worker = Arc::new(Worker { archive, log: Log { file, skew }, status });
    for _ in 0..6 {
        tokio::spawn(Arc::clone(&worker).append_all());
    }
    worker.claim_all().await;
}

impl Worker {
    async fn claim_all(self: Arc<Self>) {
        loop {
            let asked = self.log.now();
            match self.archive.claim(claim(8)).await {
                Ok(claimed) if claimed.leases.is_empty() => sleep(Duration::from_millis(20)).await,
                Ok(claimed) => {
                    for (_, lease) in claimed.leases {
                        let worker = Arc::clone(&self);
                        tokio::spawn(async move { worker.handle(lease, asked).await });
                    }
                }
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// Appends deliveries whose keys other nodes append at the same time.
    async fn append_all(self: Arc<Self>) {
        loop {
            let asked = self.log.now();
            let key = u64::try_from(asked).unwrap() / 20_000 - fastrand::u64(..10);
            let append = Append::new(delivery(key));
            let append = if fastrand::bool() { append.leased_for(LEASE) } else { append };
            self.log.write(&format!("sent {key}"));
            match self.archive.append(append).await {
                Ok(appended) => {
                    let receipt = appended.receipt;
                    let kind = if receipt.is_repeat() { "repeat" } else { "fresh" };
                    self.log.write(&format!("{kind} {key} {}", receipt.id()));
                    if let Some(lease) = appended.lease {
                        self.handle(lease, asked).await;
                    }
                }
                Err(_) => sleep(Duration::from_millis(20)).await,
            }
            sleep(Duration::from_millis(fastrand::u64(..10))).await;
        }
    }

    /// Processes a delivery whose lease was requested at `asked`.
    async fn handle(&self, lease: Lease, asked: i64) {
        if let Some(key) = self.read(lease).await
            && self.begin(lease, inference_of(key), asked).await
        {
            sleep(Duration::from_millis(fastrand::u64(..20))).await;
            self.log.write(&format!("ended {} {}", run_of(lease), self.log.now()));
            self.settle(lease).await;
        }
    }

    /// Reads the delivery, and returns its key.
    async fn read(&self, lease: Lease) -> Option<u64> {
        let id = lease.id();
        match self.archive.get(id).await {
            Ok(Some(archived)) => {
                let body = archived.delivery.body();
                let key = key_of(body);
                if body != &body_of(key) {
                    self.log.write(&format!("damaged {id}"));
                }
                return Some(key);
            }
            Ok(None) | Err(ArchiveError::Damaged { .. }) => {
                self.log.write(&format!("damaged {id}"));
            }
            Err(_) => {}
        }
        let _ = self.archive.release(lease, Release::After(Duration::ZERO)).await;
        None
    }

    /// Returns true if the delivery may be processed as this inference now.
    async fn begin(&self, lease: Lease, inference: InferenceDigest, asked: i64) -> bool {
        match self.archive.begin(lease, inference).await {
            Ok(Begun::Busy) => {
                let _ = self.archive.release(lease, Release::WhenFree(inference.id())).await;
                false
            }
            Ok(_) => {
                let (run, began) = (run_of(lease), self.log.now());
                self.log.write(&format!("began {run} {} {asked} {began}", inference.id()));
                true
            }
            Err(ArchiveError::LeaseLost { .. }) => false,
            Err(_) => {
                let _ = self.archive.release(lease, Release::After(Duration::ZERO)).await;
                false
            }
        }
    }

    async fn settle(&self, lease: Lease) {
        let (id, status) = (lease.id(), self.status);
        let processed = fastrand::u8(..8) > 0;
        let outcome = if processed {
            Outcome::processed(status)
        } else {
            Outcome::failed_at(lease.attempt(), "503")
        };
        for _ in 0..5 {
            match self.archive.settle(lease, outcome.clone(), Duration::from_millis(50)).await {
                Ok(()) if processed => return self.log.write(&format!("processed {id} {status}")),
                Ok(()) | Err(ArchiveError::LeaseLost { .. } | ArchiveError::Unknown { .. }) => {
                    return;
                }
                Err(_) => sleep(Duration::from_millis(100)).await,
            }
        }
    }
}

fn run_of(lease: Lease) -> Uuid {
    Uuid::from_bytes(*lease.token().as_bytes())
}

/// The process of a node, and its log. Killed when dropped.
pub(crate) struct Node {
    child: Child,
    pub(crate) number: u16,
    pub(crate) log: PathBuf,
    _stdin: ChildStdin,
}

impl Node {
    pub(crate) fn start(url: &str, directory: &Path, number: u16) -> Self {
        let command = Command::new(env::current_exe().unwrap());
        Self::spawn(command, url, directory, number, 0)
    }

    /// Starts a node whose clock is wrong by `skew` seconds.
    pub(crate) fn start_with_skew(url: &str, directory: &Path, number: u16, skew: i64) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        skew_clock(&mut command, skew);
        Self::spawn(command, url, directory, number, skew)
    }

    fn spawn(mut command: Command, url: &str, directory: &Path, number: u16, skew: i64) -> Self {
        let log = directory.join(format!("node-{number}"));
        command.args(["--exact", "node::node_process"]);
        command.env(URL, url).env(LOG, &log).env(NODE, number.to_string());
        command.env(SKEW, skew.to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        Self { child, number, log, _stdin: stdin }
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Gives a process a clock that is wrong by `skew` seconds. Only the clock of the day is wrong, as on a real machine.
/// The command `faketime` would start a process between the two.
pub(crate) fn skew_clock(command: &mut Command, skew: i64) {
    command.env("LD_PRELOAD", "/usr/$LIB/faketime/libfaketime.so.1");
    command.env("FAKETIME", format!("{skew:+}s")).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
}
