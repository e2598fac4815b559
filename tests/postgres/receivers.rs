//! Three processes of the example `receiver` under load, while they, the server and its connections are killed, stopped
//! and cancelled. Their leases are 60 s long, so the test moves the clock of the database.

use std::{
    collections::{HashMap, HashSet},
    env,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::time::{sleep, timeout};
use tower_inbox::{
    Archive,
    archive::{PostgresArchive, Query},
    delivery::StateKind,
};

use super::support::{Server, eventually, signal};

const MODEL: &str = "/hooks/mindee/extraction";
const RECEIVERS: usize = 3;
const CLIENTS: usize = 8;
/// Longer than a lease.
const LEASE_ENDS: u64 = 61;

/// The path of the example. Cargo builds examples with the tests, except for `cargo test --test postgres`.
fn example() -> PathBuf {
    let tests = env::current_exe().unwrap();
    let example = tests.parent().unwrap().with_file_name("examples").join("receiver");
    assert!(example.exists(), "build it with `cargo build --example receiver --all-features`");
    example
}

/// The process of a receiver. Killed when dropped.
struct Receiver {
    child: Child,
    /// With the scheme.
    address: String,
}

impl Receiver {
    /// `runs`: the file to which its handlers append a line for each run.
    fn start(url: &str, runs: &Path) -> Self {
        let mut command = Command::new(example());
        command.args(["--listen", "127.0.0.1:0", "--unsigned", "--background", "4"]);
        command.args(["--fail", "0.1", "--slow", "5", "--archive", url, "--handler-log"]).arg(runs);
        command.env("RUST_LOG", "off").stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").expect("an address").to_owned();
        Self { child, address }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn payload(number: u64) -> Bytes {
    let text = "x".repeat(usize::try_from(number % 7 * 1000).unwrap());
    let body = format!(
        r#"{{"inference": {{"id": "{number}", "model": {{"id": "m"}}, "result": {{"fields": {{}}}},
        "file": {{"name": "{text}", "page_count": 1, "mime_type": "application/pdf"}}}}}}"#
    );
    body.into()
}

/// Clients that send each delivery until a receiver acknowledges it, and every third one to another receiver then.
struct Load {
    client: Client<HttpConnector, Full<Bytes>>,
    addresses: Mutex<Vec<String>>,
    next: AtomicU64,
    /// The ids under which each delivery was acknowledged.
    acknowledged: Mutex<HashMap<u64, HashSet<String>>>,
    rejected: AtomicU64,
}

impl Load {
    fn new(receivers: &[Receiver]) -> Self {
        let addresses = receivers.iter().map(|receiver| receiver.address.clone()).collect();
        Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            addresses: Mutex::new(addresses),
            next: AtomicU64::new(0),
            acknowledged: Mutex::default(),
            rejected: AtomicU64::new(0),
        }
    }

    async fn send_all(self: Arc<Self>) {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let mut receipts = if number.is_multiple_of(3) { 2 } else { 1 };
            while receipts > 0 {
                let address = self.addresses.lock().unwrap()[fastrand::usize(..RECEIVERS)].clone();
                // A stopped receiver does not answer.
                let posted = timeout(Duration::from_secs(2), self.post(&address, number)).await;
                if let Ok(Some(id)) = posted {
                    self.acknowledged.lock().unwrap().entry(number).or_default().insert(id);
                    receipts -= 1;
                } else {
                    self.rejected.fetch_add(1, Ordering::Relaxed);
                    sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    /// Returns the id under which the delivery was acknowledged.
    async fn post(&self, address: &str, number: u64) -> Option<String> {
        let request = Request::post(format!("{address}{MODEL}"));
        let request = request.body(Full::new(payload(number))).unwrap();
        let response = self.client.request(request).await.ok()?;
        let id = response.headers().get("inbox-delivery-id")?.to_str().ok()?.to_owned();
        response.status().is_success().then_some(id)
    }

    fn acknowledged(&self) -> HashMap<u64, HashSet<String>> {
        self.acknowledged.lock().unwrap().clone()
    }
}

/// The faults, and what they are applied to.
struct Nemesis<'a> {
    server: &'a Server,
    runs: PathBuf,
    receivers: Vec<Receiver>,
    load: Arc<Load>,
    seconds: u64,
}

impl Nemesis<'_> {
    async fn kill_receiver(&mut self) {
        let place = fastrand::usize(..RECEIVERS);
        signal(self.receivers[place].child.id(), "KILL");
        self.receivers[place] = Receiver::start(&self.server.url, &self.runs);
        let address = self.receivers[place].address.clone();
        self.load.addresses.lock().unwrap()[place] = address;
        self.recovered().await;
    }

    /// Stops a receiver until its leases have expired.
    async fn suspend_receiver(&mut self) {
        let process = self.receivers[fastrand::usize(..RECEIVERS)].child.id();
        signal(process, "STOP");
        self.move_clock(LEASE_ENDS).await;
        self.recovered().await;
        signal(process, "CONT");
    }

    async fn kill_server(&mut self) {
        self.server.kill().await;
        self.server.start_again();
        self.recovered().await;
    }

    async fn signal_connections(&mut self, function: &str, times: u32) {
        let sql = format!(
            "SELECT {function}(pid) FROM pg_stat_activity WHERE application_name = 'tower-inbox' AND random() < 0.5"
        );
        let client = self.server.client().await;
        for _ in 0..times {
            client.query(&sql, &[]).await.unwrap();
            sleep(Duration::from_millis(10)).await;
        }
        self.recovered().await;
    }

    /// Waits until more deliveries are acknowledged.
    async fn recovered(&self) {
        let before = self.load.acknowledged().len();
        eventually("deliveries are acknowledged again", async || {
            self.load.acknowledged().len() >= before + 20
        })
        .await;
    }

    /// Moves the clock of the database: leases and retries are due earlier.
    async fn move_clock(&mut self, seconds: u64) {
        self.seconds += seconds;
        let sql = format!(
            "CREATE OR REPLACE FUNCTION inbox.clock() RETURNS timestamptz LANGUAGE sql VOLATILE \
             RETURN clock_timestamp() + interval '{} seconds'",
            self.seconds
        );
        self.server.client().await.batch_execute(&sql).await.unwrap();
    }

    /// Waits until the receivers have settled everything.
    async fn settle(&mut self, archive: &PostgresArchive) {
        for _ in 0..60 {
            self.move_clock(LEASE_ENDS).await;
            for _ in 0..10 {
                let counts = archive.counts().await.unwrap();
                if counts.unsettled(&MODEL.parse().unwrap()) == 0 {
                    return;
                }
                sleep(Duration::from_millis(100)).await;
            }
        }
        let left = archive.latest(Query::all().unsettled(), 9).await.unwrap();
        panic!("not settled: {left:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn three_receivers_lose_nothing_acknowledged_and_settle_everything() {
    let server = Server::start("");
    let directory = tempfile::tempdir().unwrap();
    let runs = directory.path().join("runs");
    let archive = PostgresArchive::connect(&server.url).await.unwrap();
    let receivers: Vec<_> = (0..RECEIVERS).map(|_| Receiver::start(&server.url, &runs)).collect();
    let load = Arc::new(Load::new(&receivers));
    let clients: Vec<_> =
        (0..CLIENTS).map(|_| tokio::spawn(Arc::clone(&load).send_all())).collect();
    let mut nemesis = Nemesis {
        server: &server,
        runs: runs.clone(),
        receivers,
        load: Arc::clone(&load),
        seconds: 0,
    };
    nemesis.recovered().await;
    let turns = if env::var("INBOX_LONG_TESTS").is_ok() { 20 } else { 2 };
    for _ in 0..turns {
        nemesis.kill_receiver().await;
        nemesis.signal_connections("pg_terminate_backend", 3).await;
        nemesis.suspend_receiver().await;
        nemesis.kill_server().await;
        nemesis.kill_receiver().await;
        nemesis.signal_connections("pg_cancel_backend", 50).await;
    }
    clients.iter().for_each(tokio::task::JoinHandle::abort);
    nemesis.settle(&archive).await;
    check(&archive, &load, &std::fs::read_to_string(runs).unwrap()).await;
}

/// Compares the archive with what was acknowledged, and with the runs of handlers.
async fn check(archive: &PostgresArchive, load: &Load, runs: &str) {
    let mut archived = HashMap::new();
    let mut ids = HashMap::new();
    let mut kinds: HashMap<StateKind, u64> = HashMap::new();
    let mut entries = archive.scan(Query::all());
    while let Some(entry) = entries.next().await.transpose().unwrap() {
        let (id, body) = (entry.delivery.id().to_string(), entry.delivery.body().clone());
        *kinds.entry(entry.state.kind()).or_default() += 1;
        let twice = ids.insert(body.clone(), id.clone());
        assert_eq!(twice, None, "the same bytes are archived twice");
        archived.insert(id, (body, entry.state.kind()));
    }
    let acknowledged = load.acknowledged();
    for (number, ids) in &acknowledged {
        assert_eq!(ids.len(), 1, "{number} was acknowledged under several ids: {ids:?}");
        for id in ids {
            let (body, _) = archived.get(id).unwrap_or_else(|| panic!("{number} is lost"));
            assert_eq!(*body, payload(*number), "the bytes of {number}");
        }
    }
    let ran: HashSet<_> = runs.lines().filter_map(|line| line.split(' ').nth(2)).collect();
    for (id, (_, kind)) in &archived {
        assert!(*kind != StateKind::Processed || ran.contains(&**id), "{id} did not run");
    }
    let line = format!(
        "receivers: {} deliveries acknowledged, {} attempts rejected, {} runs, states {kinds:?}\n",
        acknowledged.len(),
        load.rejected.load(Ordering::Relaxed),
        runs.lines().count()
    );
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    assert!(acknowledged.len() > 100, "there was a load");
}
