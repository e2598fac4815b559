//! The link between a node and the server fails: it hangs, loses answers, or is closed.

use std::{
    convert::Infallible,
    env,
    io::Write,
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::service_fn;
use tower_inbox::{
    Archive, DeliveryId, Inbox, Outcome, Workers,
    archive::{Append, ArchiveError, PostgresArchive, Query, WriteState},
    delivery::{Delivery, Receipt, State, StateKind},
    layer::{Attempt, InboxBody},
    provider::mindee,
    testing::Sample,
};

use super::{
    proxy::Proxy,
    support::{Schema, Server, eventually, skip},
};

const MODEL: &str = "/hooks/links";
const LEASE: Duration = Duration::from_secs(60);

fn delivery(body: &str) -> Delivery {
    Sample::of(MODEL).body(body.to_owned()).delivery()
}

/// Opens the archive of the schema over this link, with one connection for appends, which the first append opens.
async fn open_over(proxy: &Proxy, schema: &Schema, deadline: Duration) -> PostgresArchive {
    let builder = PostgresArchive::builder(proxy.url()).schema(&schema.name).connections(4);
    builder.maintenance_interval(None).statement_deadline(deadline).open().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn append_whose_answer_the_link_loses_is_acknowledged_as_fresh_once_the_link_is_back() {
    let server = Server::start("");
    let schema = server.schema();
    let (beside, proxy) = (schema.open().await, Proxy::start(&server).await);
    let archive = open_over(&proxy, &schema, Duration::from_secs(20)).await;
    let _ = archive.append(Append::new(delivery("before"))).await.unwrap();
    proxy.drop_answers();
    let lost = delivery("lost answer");
    let append = tokio::spawn(archive.append(Append::new(lost.clone()).leased_for(LEASE)));
    eventually("it is stored", async || beside.state(lost.id()).await.unwrap().is_some()).await;
    assert!(!append.is_finished(), "its answer is lost");
    proxy.restore();
    proxy.close();
    let appended = append.await.unwrap().unwrap();
    assert_eq!(appended.receipt, Receipt::fresh(lost.id()));
    let lease = appended.lease.expect("the lease that the first attempt took");
    archive.settle(lease, Outcome::processed(200), Duration::ZERO).await.unwrap();
    assert_eq!(beside.get(lost.id()).await.unwrap().unwrap().delivery, lost);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn append_over_a_link_that_hangs_fails_at_the_deadline_and_is_stored_at_most_once() {
    let server = Server::start("");
    let schema = server.schema();
    let (beside, proxy) = (schema.open().await, Proxy::start(&server).await);
    let deadline = Duration::from_secs(1);
    let archive = open_over(&proxy, &schema, deadline).await;
    let _ = archive.append(Append::new(delivery("before"))).await.unwrap();
    proxy.stop();
    let start = Instant::now();
    let first = delivery("first");
    let append = Append::new(first.clone()).leased_for(LEASE);
    for append in [append, Append::new(delivery("second"))] {
        let result = archive.append(append).await;
        assert!(matches!(result, Err(ArchiveError::Unsure(_))), "{result:?}");
    }
    assert!(start.elapsed() < 4 * deadline, "{:?}", start.elapsed());
    assert_eq!(archive.health().await.unwrap().writes, Some(WriteState::Stalled));
    assert_eq!(beside.state(first.id()).await.unwrap(), None, "it was not received");

    // The sender repeats it at another node, before what was sent over the link arrives.
    let repeated = delivery("first");
    let receipt = beside.append(Append::new(repeated.clone())).await.unwrap().receipt;
    assert_eq!(receipt, Receipt::fresh(repeated.id()));
    proxy.restore();
    eventually("the archive works again", async || {
        archive.health().await.unwrap().writes == Some(WriteState::Working)
    })
    .await;
    eventually("both are stored once, and nobody holds a lease", async || {
        let found = archive.latest(Query::all(), 9).await.unwrap();
        found.len() == 3 && found.iter().all(|entry| entry.state == State::NEW)
    })
    .await;
    for (body, id) in [("first", Some(repeated.id())), ("second", None)] {
        let receipt = archive.append(Append::new(delivery(body))).await.unwrap().receipt;
        assert!(receipt.is_repeat() && id.is_none_or(|id| id == receipt.id()), "{receipt:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn first_host_that_accepts_connections_and_does_not_answer_does_not_hide_the_second() {
    let server = Server::start("");
    let schema = server.schema();
    let proxy = Proxy::start(&server).await;
    let hosts = format!("{},127.0.0.1:{}", proxy.address(), server.port());
    let builder = PostgresArchive::builder(format!("postgres://postgres@{hosts}/postgres"));
    let builder = builder.schema(&schema.name).statement_deadline(Duration::from_secs(10));
    let archive = builder.open().await.unwrap();
    let _ = archive.append(Append::new(delivery("over the first"))).await.unwrap();
    proxy.stop();
    proxy.close();
    let start = Instant::now();
    let _ = archive.append(Append::new(delivery("over the second"))).await.unwrap();
    print(&format!("the second host was used {:?} after the first hung", start.elapsed()));
}

const IN_NAMESPACE: &str = "INBOX_IN_NAMESPACE";

#[test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
fn server_that_vanishes_without_closing_connections_is_given_up_after_tcp_user_timeout() {
    // A network namespace ends with its processes. Only root can create one.
    let test = ["--exact", "links::process_in_a_network_namespace", "--nocapture"];
    let mut command = Command::new("unshare");
    command.arg("--net").arg(env::current_exe().unwrap()).args(test).env(IN_NAMESPACE, "1");
    let output = command.stdin(Stdio::null()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    if errors.contains("unshare failed") {
        return skip("a network namespace can only be created as root");
    }
    assert!(output.status.success(), "{errors}");
    print(errors.lines().last().unwrap_or_default());
}

fn print(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

fn ip(arguments: &str) {
    assert!(Command::new("ip").args(arguments.split(' ')).status().unwrap().success());
}

/// Runs in a process of its own, and returns at once otherwise.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn process_in_a_network_namespace() {
    if env::var(IN_NAMESPACE).is_err() {
        return;
    }
    let address = "10.77.0.1";
    ip("link set lo up");
    ip(&format!("address add {address}/32 dev lo"));
    let server = Server::start(&format!("listen_addresses = '127.0.0.1,{address}'"));
    server.accept_from(address).await;
    let port = server.port();
    let hosts = format!("{address}:{port},127.0.0.1:{port}");
    let url = format!("postgres://postgres@{hosts}/postgres?tcp_user_timeout=2");
    // One for appends, which the first append opens.
    let archive = PostgresArchive::builder(&url).connections(4).open().await.unwrap();
    let _ = archive.append(Append::new(delivery("before"))).await.unwrap();
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE host(client_addr) = '10.77.0.1'";
    let client = server.client().await;
    let connections: i64 = client.query_one(sql, &[]).await.unwrap().get(0);
    assert!(connections > 0, "connected to the address that vanishes");

    // From now on, packets to the address are discarded.
    ip(&format!("address delete {address}/32 dev lo"));
    ip(&format!("route add blackhole {address}/32"));
    let (start, sent) = (Instant::now(), delivery("sent into the void"));
    let appended = archive.append(Append::new(sent.clone())).await.unwrap();
    let elapsed = start.elapsed();
    assert_eq!(appended.receipt, Receipt::fresh(sent.id()));
    assert!((Duration::from_secs(2)..Duration::from_secs(8)).contains(&elapsed), "{elapsed:?}");
    print(&format!(
        "a connection without packets was given up after {elapsed:?}, at a timeout of 2 s"
    ));
}

/// What the handlers of a node did.
#[derive(Clone, Default)]
pub(crate) struct Runs(Arc<Mutex<Vec<&'static str>>>);

impl Runs {
    fn push(&self, event: &'static str) {
        self.0.lock().unwrap().push(event);
    }

    pub(crate) fn all(&self) -> Vec<&'static str> {
        self.0.lock().unwrap().clone()
    }
}

/// Notes that a handler was aborted, unless it returned.
struct Running(Runs, bool);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.push(if self.1 { "returned" } else { "aborted" });
    }
}

/// A node whose handlers run until `may_end`, and return 200 then.
pub(crate) fn node(
    archive: &PostgresArchive,
    may_end: &Arc<AtomicBool>,
    lease: Duration,
) -> (Inbox, Runs) {
    let (runs, may_end) = (Runs::default(), Arc::clone(may_end));
    let model = mindee::extraction::<mindee::Fields>().unsigned();
    let workers = Workers::new(2).lease_length(lease).handler_timeout(Duration::from_secs(3600));
    let builder = Inbox::builder(archive.clone()).model(MODEL, model).background(workers);
    let inbox = builder.build().unwrap();
    let runs_of_handler = runs.clone();
    let handler = service_fn(move |request: Request<InboxBody<Full<Bytes>>>| {
        let (runs, may_end) = (runs_of_handler.clone(), Arc::clone(&may_end));
        async move {
            assert!(request.extensions().get::<Attempt>().is_some());
            runs.push("started");
            let mut running = Running(runs, false);
            while !may_end.load(Ordering::Acquire) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            running.1 = true;
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        }
    });
    inbox.start_workers(handler).unwrap();
    (inbox, runs)
}

pub(crate) fn payload(job: &str) -> Delivery {
    let body = format!(
        r#"{{"inference": {{"id": "{job}", "model": {{"id": "m"}}, "result": {{"fields": {{}}}},
        "file": {{"name": "f", "page_count": 1, "mime_type": "application/pdf"}}}}}}"#
    );
    Sample::of(MODEL).uri(MODEL.parse().unwrap()).body(body).delivery()
}

pub(crate) async fn is_processed(archive: &PostgresArchive, id: DeliveryId) -> bool {
    let state = archive.state(id).await.unwrap();
    state.is_some_and(|state| state.kind() == StateKind::Processed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn node_cut_off_past_its_lease_aborts_its_handler_and_works_again_without_a_restart() {
    let server = Server::start("");
    let schema = server.schema();
    let (beside, proxy) = (schema.open().await, Proxy::start(&server).await);
    let cut_off = open_over(&proxy, &schema, Duration::from_secs(5)).await;
    let (never, at_once) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(true)));
    let (first, runs) = node(&cut_off, &never, LEASE);
    let job = payload("cut off");
    let _ = cut_off.append(Append::new(job.clone())).await.unwrap();
    eventually("the first node runs it", async || runs.all() == ["started"]).await;
    let lease_of_job = beside.state(job.id()).await.unwrap().unwrap();
    assert_eq!(lease_of_job, State::Leased { attempts: 1, crashes: 0 });
    let late = Append::new(payload("late")).leased_for(Duration::from_secs(2));
    let late = cut_off.append(late).await.unwrap().lease.unwrap();

    let append = Append::new(payload("settled")).leased_for(LEASE);
    let settled = cut_off.append(append).await.unwrap().lease.unwrap();
    cut_off.settle(settled, Outcome::processed(200), Duration::ZERO).await.unwrap();

    proxy.stop();
    let start = Instant::now();
    let (second, others) = node(&beside, &at_once, LEASE);
    let result = cut_off.settle(late, Outcome::failed("503"), Duration::ZERO).await;
    assert!(matches!(result, Err(ArchiveError::Unsure(_))), "{result:?}");
    let is_taken_over = async || runs.all().len() > 1 && is_processed(&beside, job.id()).await;
    while !is_taken_over().await && start.elapsed() < 2 * LEASE {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(runs.all(), ["started", "aborted"]);
    assert_eq!(others.all().len(), 4, "two deliveries are processed once: {:?}", others.all());
    assert!(start.elapsed() < LEASE + Duration::from_secs(15), "{:?}", start.elapsed());

    // The outcome that was sent before the link hung arrives late, and is rejected.
    proxy.restore();
    never.store(true, Ordering::Release);
    eventually("the node works again", async || {
        first.health().report().await.is_ready() && cut_off.counts().await.is_ok()
    })
    .await;
    assert!(is_processed(&beside, late.id()).await);
    let result = cut_off.settle(late, Outcome::failed("503"), Duration::ZERO).await;
    assert!(matches!(result, Err(ArchiveError::LeaseLost { .. })), "{result:?}");
    second.shutdown(Duration::from_secs(5)).await;
    let after = payload("after");
    let _ = cut_off.append(Append::new(after.clone())).await.unwrap();
    eventually("the first node runs what comes now", async || {
        is_processed(&beside, after.id()).await
    })
    .await;
    assert_eq!(runs.all(), ["started", "aborted", "started", "returned"]);
}
