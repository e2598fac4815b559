//! Three processes share one server, while processes and connections are killed, stopped and cancelled.
//!
//! A node is this test binary, started again with the variables below. Nodes append deliveries with the same keys, and
//! claim and settle them. Each logs the results of its operations to a file, which is compared with the archive at the end.

use std::{
    collections::{HashMap, HashSet},
    env,
    fs::{File, OpenOptions},
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tokio::time::sleep;
use tower_inbox::{
    Archive, Outcome,
    archive::{Append, ArchiveError, Claim, Lease, PostgresArchive, Query},
    delivery::{Delivery, DeliveryId, State},
    testing::Sample,
};

use super::support::{Server, eventually};

const MODEL: &str = "/hooks/kills";
const NODES: u16 = 3;
const LEASE: Duration = Duration::from_secs(1);
/// Longer than a lease.
const STOPPED: Duration = Duration::from_millis(1400);
/// The status with which the test itself settles what the nodes left unsettled.
const LAST: u16 = 299;

const URL: &str = "INBOX_KILLS_URL";
const LOG: &str = "INBOX_KILLS_LOG";
const NODE: &str = "INBOX_KILLS_NODE";

/// A body that depends on the key only.
fn body_of(key: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(key);
    let mut body = format!("{key}\n").into_bytes();
    body.extend((0..random.usize(100..12_000)).map(|_| random.u8(..)));
    body
}

fn key_of(body: &[u8]) -> u64 {
    let line = body.split(|byte| *byte == b'\n').next().unwrap();
    std::str::from_utf8(line).unwrap().parse().unwrap()
}

fn delivery(key: u64) -> Delivery {
    Sample::of(MODEL).body(body_of(key)).delivery()
}

fn claim(limit: usize) -> Claim {
    Claim::new(vec![(MODEL.parse().unwrap(), limit)], limit).leased_for(LEASE)
}

/// The results of the operations of a node. A line is written by one call, so it survives the process.
struct Log(File);

impl Log {
    fn write(&self, line: &str) {
        (&self.0).write_all(format!("{line}\n").as_bytes()).unwrap();
    }
}

/// Runs in a process of its own, and returns at once otherwise.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_of_the_kill_test() {
    let Ok(url) = env::var(URL) else { return };
    let log = OpenOptions::new().append(true).create(true).open(env::var(LOG).unwrap()).unwrap();
    let log = Arc::new(Log(log));
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
    for _ in 0..6 {
        tokio::spawn(append_all(archive.clone(), Arc::clone(&log), status));
    }
    loop {
        match archive.claim(claim(8)).await {
            Ok(claimed) if claimed.leases.is_empty() => sleep(Duration::from_millis(20)).await,
            Ok(claimed) => {
                for (_, lease) in claimed.leases {
                    tokio::spawn(handle(archive.clone(), Arc::clone(&log), lease, status));
                }
            }
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Appends deliveries whose keys other nodes append at the same time.
async fn append_all(archive: PostgresArchive, log: Arc<Log>, status: u16) {
    loop {
        let millis = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let key = u64::try_from(millis).unwrap() / 20 - fastrand::u64(..10);
        let append = Append::new(delivery(key));
        let append = if fastrand::bool() { append.leased_for(LEASE) } else { append };
        log.write(&format!("sent {key}"));
        match archive.append(append).await {
            Ok(appended) => {
                let receipt = appended.receipt;
                let kind = if receipt.is_repeat() { "repeat" } else { "fresh" };
                log.write(&format!("{kind} {key} {}", receipt.id()));
                if let Some(lease) = appended.lease {
                    handle(archive.clone(), Arc::clone(&log), lease, status).await;
                }
            }
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
        sleep(Duration::from_millis(fastrand::u64(..10))).await;
    }
}

async fn handle(archive: PostgresArchive, log: Arc<Log>, lease: Lease, status: u16) {
    let id = lease.id();
    match archive.get(id).await {
        Ok(Some(archived))
            if archived.delivery.body() == &body_of(key_of(archived.delivery.body())) => {}
        Ok(_) | Err(ArchiveError::Damaged { .. }) => log.write(&format!("damaged {id}")),
        Err(_) => {}
    }
    sleep(Duration::from_millis(fastrand::u64(..20))).await;
    let processed = fastrand::u8(..8) > 0;
    let outcome = if processed {
        Outcome::processed(status)
    } else {
        Outcome::failed_at(lease.attempt(), "503")
    };
    for _ in 0..5 {
        match archive.settle(lease, outcome.clone(), Duration::from_millis(50)).await {
            Ok(()) if processed => return log.write(&format!("processed {id} {status}")),
            Ok(()) | Err(ArchiveError::LeaseLost { .. } | ArchiveError::Unknown { .. }) => return,
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

/// The process of a node, and its log.
struct Node {
    child: Child,
    number: u16,
    log: PathBuf,
    _stdin: ChildStdin,
}

impl Node {
    fn start(server: &Server, directory: &Path, number: u16) -> Self {
        let log = directory.join(format!("node-{number}"));
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "kills::node_of_the_kill_test"]);
        command.env(URL, &server.url).env(LOG, &log).env(NODE, number.to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        Self { child, number, log, _stdin: stdin }
    }

    fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn signal(process: u32, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &process.to_string()]).status();
    assert!(status.unwrap().success(), "kill -{name} {process}");
}

/// A fault of a node, of the server or of a connection.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    KillNode,
    KillServer,
    StopNode,
    Terminate,
    Cancel,
}

const TURN: [Fault; 8] = [
    Fault::KillNode,
    Fault::Terminate,
    Fault::StopNode,
    Fault::KillNode,
    Fault::KillServer,
    Fault::Cancel,
    Fault::KillNode,
    Fault::Terminate,
];

impl Fault {
    async fn inject(self, server: &Server, directory: &Path, nodes: &mut [Node]) {
        let node = &mut nodes[fastrand::usize(..usize::from(NODES))];
        match self {
            Self::KillNode => {
                node.kill();
                *node = Node::start(server, directory, node.number);
            }
            Self::StopNode => {
                node.signal("STOP");
                sleep(STOPPED).await;
                node.signal("CONT");
            }
            Self::KillServer => kill_server(server).await,
            Self::Terminate => signal_backends(server, "pg_terminate_backend", 3).await,
            Self::Cancel => {
                for _ in 0..20 {
                    signal_backends(server, "pg_cancel_backend", 8).await;
                }
            }
        }
    }
}

async fn signal_backends(server: &Server, function: &str, most: u32) {
    let sql = format!(
        "SELECT {function}(pid) FROM (SELECT pid FROM pg_stat_activity WHERE application_name = 'tower-inbox' \
         ORDER BY state <> 'active', random() LIMIT {most}) chosen"
    );
    server.client().await.query(&sql, &[]).await.unwrap();
}

/// Kills the postmaster, waits until its other processes have ended, and starts it again.
async fn kill_server(server: &Server) {
    let client = server.client().await;
    let directory: String = client.query_one("SHOW data_directory", &[]).await.unwrap().get(0);
    let file = std::fs::read_to_string(Path::new(&directory).join("postmaster.pid")).unwrap();
    let process: u32 = file.lines().next().unwrap().parse().unwrap();
    let children = format!("/proc/{process}/task/{process}/children");
    let children = std::fs::read_to_string(children).unwrap();
    signal(process, "KILL");
    eventually("the processes of the server have ended", async || {
        !children.split_whitespace().any(|child| Path::new("/proc").join(child).exists())
    })
    .await;
    server.start_again();
}

/// The logs of all nodes.
#[derive(Default)]
struct Results {
    sent: HashMap<u64, usize>,
    fresh: HashMap<u64, usize>,
    ids: HashMap<u64, Vec<String>>,
    processed: HashMap<String, HashSet<u16>>,
    damaged: Vec<String>,
}

impl Results {
    fn read(nodes: &[Node]) -> Self {
        let mut results = Self::default();
        for node in nodes {
            for line in std::fs::read_to_string(&node.log).unwrap().lines() {
                results.add(&line.split(' ').collect::<Vec<_>>());
            }
        }
        results
    }

    fn add(&mut self, line: &[&str]) {
        let key = || line[1].parse::<u64>().unwrap();
        match line[0] {
            "sent" => *self.sent.entry(key()).or_default() += 1,
            "fresh" | "repeat" => {
                *self.fresh.entry(key()).or_default() += usize::from(line[0] == "fresh");
                self.ids.entry(key()).or_default().push(line[2].to_owned());
            }
            "processed" => {
                let statuses = self.processed.entry(line[1].to_owned()).or_default();
                statuses.insert(line[2].parse().unwrap());
            }
            _ => self.damaged.push(line[1].to_owned()),
        }
    }

    fn check_receipts(&self) {
        assert!(self.damaged.is_empty(), "handlers got other bytes: {:?}", self.damaged);
        for (key, ids) in &self.ids {
            assert!(ids.iter().all(|id| *id == ids[0]), "{key} has several ids: {ids:?}");
            let fresh = self.fresh[key];
            // The receipt of a node that was killed may be lost.
            let lost = self.sent[key] - ids.len();
            assert!(fresh == 1 || (fresh == 0 && lost > 0), "{key}: {fresh} fresh, {lost} lost");
        }
    }

    async fn check_archive(&self, archive: &PostgresArchive) {
        let mut kept: HashMap<u64, (DeliveryId, State)> = HashMap::new();
        let mut entries = archive.scan(Query::all());
        while let Some(archived) = entries.next().await.transpose().unwrap() {
            let (id, body) = (archived.delivery.id(), archived.delivery.body());
            let key = key_of(body);
            assert_eq!(body, &body_of(key), "the bytes of {key}");
            assert!(archived.state.is_settled(), "{key}: {}", archived.state);
            let twice = kept.insert(key, (id, archived.state));
            assert!(twice.is_none(), "{key} is archived twice");
        }
        for (key, ids) in &self.ids {
            let (id, state) = kept.get(key).unwrap_or_else(|| panic!("{key} is lost"));
            assert_eq!(ids[0], id.to_string(), "{key}");
            let Some(statuses) = self.processed.get(&ids[0]) else { continue };
            let expected: Vec<_> = statuses.iter().map(|s| Outcome::processed(*s)).collect();
            let outcome: Vec<_> = state.outcome().cloned().into_iter().collect();
            assert_eq!(outcome, expected, "{key}: each confirmed outcome is the final one");
        }
    }
}

/// Settles what the nodes left unsettled. Returns the number of poisoned deliveries.
async fn settle_rest(archive: &PostgresArchive) -> u64 {
    eventually("everything is settled", async || {
        while let Ok(claimed) = archive.claim(claim(64).suspects(64)).await {
            if claimed.leases.is_empty() {
                break;
            }
            for (_, lease) in claimed.leases {
                archive.settle(lease, Outcome::processed(LAST), Duration::ZERO).await.unwrap();
            }
        }
        archive.counts().await.unwrap().unsettled(&MODEL.parse().unwrap()) == 0
    })
    .await;
    archive.counts().await.unwrap().of_all(tower_inbox::delivery::StateKind::Dead)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn killed_and_stopped_nodes_and_servers_lose_nothing_acknowledged() {
    let server = Server::start("");
    let turns = if env::var("INBOX_LONG_TESTS").is_ok() { 34 } else { 5 };
    let directory = tempfile::tempdir().unwrap();
    let archive = PostgresArchive::connect(&server.url).await.unwrap();
    let mut nodes: Vec<_> =
        (0..NODES).map(|number| Node::start(&server, directory.path(), number)).collect();
    let began = Instant::now();
    sleep(Duration::from_secs(1)).await;
    for fault in std::iter::repeat_n(TURN, turns).flatten() {
        fault.inject(&server, directory.path(), &mut nodes).await;
        sleep(Duration::from_millis(fastrand::u64(50..300))).await;
    }
    sleep(Duration::from_secs(1)).await;
    nodes.iter_mut().for_each(Node::kill);
    let poisoned = settle_rest(&archive).await;
    let results = Results::read(&nodes);
    results.check_receipts();
    results.check_archive(&archive).await;
    let kills =
        turns * TURN.iter().filter(|n| !matches!(n, Fault::StopNode | Fault::Cancel)).count();
    let line = format!(
        "{kills} kills: {} deliveries acknowledged, {} receipts, {} settled by nodes, {poisoned} poisoned, {:?}\n",
        results.ids.len(),
        results.ids.values().map(Vec::len).sum::<usize>(),
        results.processed.len(),
        began.elapsed()
    );
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    assert!(results.ids.len() > 200 && results.processed.len() > 100, "there was a load");
}
