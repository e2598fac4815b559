//! The clocks of nodes are wrong. Leases, due times, order and retention are those of the database.

use std::{
    env,
    process::{Command, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tower_inbox::{
    Archive, Outcome,
    archive::{Append, Claim, Claimed, Lease, PostgresArchive, Query},
    delivery::StateKind,
    testing::Sample,
};

use super::{
    node::{Node, skew_clock},
    results::{Results, load},
    support::{Schema, Server, eventually, server},
};

const MODEL: &str = "/hooks/skew";
const HOUR: i64 = 60 * 60;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const SECOND: Duration = Duration::from_secs(1);

const SCHEMA: &str = "INBOX_SKEWED_SCHEMA";
const URL: &str = "INBOX_SKEWED_URL";
const SKEW: &str = "INBOX_SKEWED_SECONDS";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn nodes_whose_clocks_differ_by_hours_lose_nothing_and_overlap_only_after_a_lost_lease() {
    let server = Server::start("");
    let archive = PostgresArchive::connect(&server.url).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let start =
        |(number, skew)| Node::start_with_skew(&server.url, directory.path(), number, skew * HOUR);
    let mut nodes: Vec<_> = [(0, -1), (1, 0), (2, 1)].into_iter().map(start).collect();
    load(&nodes, 100).await;
    nodes[0].kill();
    nodes[0] = start((0, -1));
    load(&nodes, 50).await;
    let title = "clocks that differ by an hour";
    let results = Results::check(&mut nodes, &server, &archive, title).await;
    assert!(results.processed() > 100, "there was a load");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn leases_due_times_order_and_retention_do_not_depend_on_the_clock_of_a_node() {
    let schema = server().schema();
    let archive = schema.open().await;
    for days in [3, -3] {
        run_skewed(&schema, days * 24 * HOUR).await;
    }
    let found = archive.latest(Query::all(), 9).await.unwrap();
    let times: Vec<_> = found.iter().map(|entry| entry.received_at).collect();
    let now = SystemTime::now();
    assert!(times.len() == 2 && times[0] < now - 2 * DAY && times[1] > now + 2 * DAY, "{times:?}");
    for entry in &found {
        assert_eq!(entry.state.kind(), StateKind::Processed);
        assert!(archive.get(entry.id).await.unwrap().is_some(), "its body is retained");
    }
    schema.drop().await;
}

/// Runs [`skewed_process`] with a clock that is wrong by `skew` seconds.
async fn run_skewed(schema: &Schema, skew: i64) {
    let mut command = Command::new(env::current_exe().unwrap());
    skew_clock(&mut command, skew);
    command.args(["--exact", "clock_skew::skewed_process"]);
    command.env(SCHEMA, &schema.name).env(URL, &server().url).env(SKEW, skew.to_string());
    let mut command = tokio::process::Command::from(command);
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{skew}: {printed}");
}

/// Runs in a process of its own, and returns at once otherwise.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn skewed_process() {
    let Ok(url) = env::var(URL) else { return };
    let builder = PostgresArchive::builder(&url).schema(env::var(SCHEMA).unwrap());
    let builder = builder.maintenance_interval(None).retention(DAY).ledger_retention(DAY);
    let archive = builder.open().await.unwrap();
    assert_clock(&url, env::var(SKEW).unwrap().parse().unwrap()).await;

    let delivery = Sample::of(MODEL).body(env::var(SKEW).unwrap()).received_at(now()).delivery();
    let append = Append::new(delivery.clone()).leased_for(SECOND);
    let (start, _) = (Instant::now(), archive.append(append).await.unwrap().lease.unwrap());
    assert!(claim(&archive).await.leases.is_empty(), "the lease is valid");
    let lease = claimed(&archive).await;
    assert!((SECOND..20 * SECOND).contains(&start.elapsed()), "{:?}", start.elapsed());
    assert_eq!((lease.attempt(), lease.crashes()), (2, 1), "the lease expired");

    let start = Instant::now();
    archive.settle(lease, Outcome::failed("503"), SECOND).await.unwrap();
    let next_due = claim(&archive).await.next_due.expect("the time until the retry");
    assert!(next_due <= SECOND, "{next_due:?}");
    let lease = claimed(&archive).await;
    assert!((SECOND..20 * SECOND).contains(&start.elapsed()), "{:?}", start.elapsed());

    assert_eq!(archive.renew(vec![lease], 60 * SECOND).await.unwrap(), []);
    archive.settle(lease, Outcome::processed(200), Duration::ZERO).await.unwrap();
    archive.maintain_now().await.unwrap();
    assert_eq!(archive.get(delivery.id()).await.unwrap().unwrap().delivery, delivery);
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

/// Asserts that the clock of this process differs from that of the database.
async fn assert_clock(url: &str, skew: i64) {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let sql = "SELECT extract(epoch FROM clock_timestamp())::bigint";
    let database: i64 = client.query_one(sql, &[]).await.unwrap().get(0);
    let difference = i64::try_from(now().as_secs()).unwrap() - database - skew;
    let hint = "is the package faketime installed?";
    assert!(difference.abs() < 60, "the clock is wrong by {difference} s more than {skew}; {hint}");
}

async fn claim(archive: &PostgresArchive) -> Claimed {
    let claim = Claim::new(vec![(MODEL.parse().unwrap(), 1)], 1).suspects(1);
    archive.claim(claim).await.unwrap()
}

/// Waits until the delivery is due.
async fn claimed(archive: &PostgresArchive) -> Lease {
    let mut leases = Vec::new();
    eventually("it is due", async || {
        leases.extend(claim(archive).await.leases);
        !leases.is_empty()
    })
    .await;
    leases[0].1
}
