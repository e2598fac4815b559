//! The primary is killed and its standby promoted; standbys disappear and return.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use http::{Request, Response};
use http_body_util::Full;
use tokio::time::sleep;
use tokio_postgres::Client;
use tower::{Layer, ServiceExt, service_fn};
use tower_inbox::{
    Archive, Inbox, Outcome,
    archive::{Append, ArchiveError, Claim, Lease, PostgresArchive, Query},
    delivery::{Delivery, Receipt, StateKind},
    layer::InboxBody,
    provider::mindee,
    testing::Sample,
};

use super::{
    node::{self, Node},
    results::{Results, load},
    support::{Server, eventually, signal},
};

const MODEL: &str = "/hooks/failover";
const LEASE: Duration = Duration::from_secs(60);

fn delivery(body: &str) -> Delivery {
    Sample::of(MODEL).body(body.to_owned()).delivery()
}

async fn leased(archive: &PostgresArchive, body: &str, length: Duration) -> (Delivery, Lease) {
    let delivery = delivery(body);
    let append = Append::new(delivery.clone()).leased_for(length);
    let appended = archive.append(append).await.unwrap();
    assert_eq!(appended.receipt, Receipt::fresh(delivery.id()));
    (delivery, appended.lease.unwrap())
}

/// Makes commits of this server wait for these standbys, and waits until they are synchronous.
pub(crate) async fn require(server: &Server, standbys: &str) {
    let client = server.client().await;
    let sql = format!("ALTER SYSTEM SET synchronous_standby_names = '{standbys}'");
    client.batch_execute(&sql).await.unwrap();
    client.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    let sql = "SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')";
    eventually("a synchronous standby is streaming", async || {
        client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) > 0
    })
    .await;
}

fn print(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// Returns when the archive has acknowledged a delivery.
async fn first_receipt(archive: PostgresArchive) -> Instant {
    loop {
        match archive.append(Append::new(node::delivery(0))).await {
            Ok(_) => return Instant::now(),
            Err(_) => sleep(Duration::from_millis(5)).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn promoted_synchronous_standby_has_everything_acknowledged_under_load() {
    let primary = Server::start("");
    let standby = primary.standby("standby").await;
    require(&primary, "standby").await;
    let url = Server::url_of(&[&primary, &standby]);
    let builder = PostgresArchive::builder(&url).require_synchronous_standby(true);
    let archive = builder.statement_deadline(Duration::from_secs(20)).open().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut nodes: Vec<_> =
        (0..3).map(|number| Node::start(&url, directory.path(), number)).collect();
    load(&nodes, 150).await;
    let killed = Instant::now();
    primary.kill().await;
    let receipt = tokio::spawn(first_receipt(archive.clone()));
    // Longer than the longest pause between two attempts to connect.
    sleep(Duration::from_millis(1500)).await;
    let promoted = Instant::now();
    standby.promote();
    let accepts_writes = promoted.elapsed();
    let receipt = receipt.await.unwrap();
    print(&format!(
        "the standby accepted writes {accepts_writes:?} after the promotion began; the first receipt came {:?} after \
         the promotion began, and {:?} after the kill",
        receipt - promoted,
        receipt - killed
    ));
    load(&nodes, 150).await;
    let title = "failover to a synchronous standby";
    let results = Results::check(&mut nodes, &standby, &archive, title).await;
    assert!(results.processed() > 200, "there was a load");
}

/// Waits until the standby has everything that the server has written.
pub(crate) async fn is_replicated(client: &Client) {
    let sql = "SELECT replay_lsn = pg_current_wal_flush_lsn() FROM pg_stat_replication";
    eventually("the standby has everything", async || {
        let rows = client.query(sql, &[]).await.unwrap();
        rows.first().is_some_and(|row| row.get::<_, Option<bool>>(0) == Some(true))
    })
    .await;
}

/// Stops the replication, and returns the process that sends.
async fn stop_replication(client: &Client) -> u32 {
    let sql = "SELECT pid FROM pg_stat_replication";
    let sender: i32 = client.query_one(sql, &[]).await.unwrap().get(0);
    let sender = sender.unsigned_abs();
    signal(sender, "STOP");
    sender
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn promoted_asynchronous_standby_loses_the_tail_and_stores_its_repeats_as_fresh() {
    let primary = Server::start("");
    let standby = primary.standby("standby").await;
    let url = Server::url_of(&[&primary, &standby]);
    let archive = PostgresArchive::connect(&url).await.unwrap();
    let (settled, first) = leased(&archive, "settled", LEASE).await;
    let (rewound, second) = leased(&archive, "rewound", Duration::from_secs(1)).await;
    let (running, third) = leased(&archive, "running", LEASE).await;
    archive.settle(first, Outcome::processed(200), Duration::ZERO).await.unwrap();
    let client = primary.client().await;
    is_replicated(&client).await;

    let sender = stop_replication(&client).await;
    archive.settle(second, Outcome::processed(200), Duration::ZERO).await.unwrap();
    let (lost, fourth) = leased(&archive, "lost", LEASE).await;
    primary.kill_postmaster();
    signal(sender, "KILL");
    standby.promote();

    eventually("the archive has the new primary", async || archive.counts().await.is_ok()).await;
    for kept in [&settled, &rewound, &running] {
        assert_eq!(&archive.get(kept.id()).await.unwrap().unwrap().delivery, kept);
        let body = std::str::from_utf8(kept.body()).unwrap();
        let repeat = archive.append(Append::new(delivery(body))).await.unwrap();
        assert_eq!(repeat.receipt, Receipt::repeat(kept.id()));
    }
    assert_eq!(archive.state(lost.id()).await.unwrap(), None, "the tail was lost");
    let late = archive.settle(fourth, Outcome::processed(200), Duration::ZERO).await;
    assert!(matches!(late, Err(ArchiveError::Unknown { .. })), "{late:?}");
    let (again, fourth) = leased(&archive, "lost", LEASE).await;
    archive.settle(fourth, Outcome::processed(200), Duration::ZERO).await.unwrap();
    archive.settle(third, Outcome::processed(200), Duration::ZERO).await.unwrap();

    // Its outcome is lost, so it runs again after its lease.
    let mut claimed = Vec::new();
    eventually("the rewound lease has expired", async || {
        let claim = Claim::new(vec![(MODEL.parse().unwrap(), 9)], 9).suspects(9);
        claimed.extend(archive.claim(claim).await.unwrap().leases);
        !claimed.is_empty()
    })
    .await;
    let leases: Vec<_> = claimed.iter().map(|(_, lease)| (lease.id(), lease.crashes())).collect();
    assert_eq!(leases, [(rewound.id(), 1)]);
    let late = archive.settle(second, Outcome::failed("503"), Duration::ZERO).await;
    assert!(matches!(late, Err(ArchiveError::LeaseLost { .. })), "{late:?}");
    archive.settle(claimed[0].1, Outcome::processed(200), Duration::ZERO).await.unwrap();
    let found = archive.latest(Query::all(), 9).await.unwrap();
    let ids: Vec<_> = found.iter().map(|entry| entry.id).collect();
    assert_eq!(ids, [again.id(), running.id(), rewound.id(), settled.id()], "newest first");
    assert!(found.iter().all(|entry| entry.state.kind() == StateKind::Processed), "{found:?}");
}

fn payload(job: &str) -> String {
    format!(
        r#"{{"inference": {{"id": "{job}", "model": {{"id": "m"}}, "result": {{"fields": {{}}}},
        "file": {{"name": "f", "page_count": 1, "mime_type": "application/pdf"}}}}}}"#
    )
}

/// Posts a delivery, and returns the status and whether there is a `Retry-After`.
async fn post(inbox: &Inbox, job: &str) -> (u16, bool) {
    let handler = service_fn(|_: Request<InboxBody<Full<bytes::Bytes>>>| async {
        Ok::<_, std::convert::Infallible>(Response::new(Full::<bytes::Bytes>::default()))
    });
    let request = Request::post(MODEL).body(Full::from(payload(job))).unwrap();
    let response = inbox.layer().layer(handler).oneshot(request).await.unwrap();
    (response.status().as_u16(), response.headers().contains_key("retry-after"))
}

/// Waits until this number of deliveries is processed, and nothing else is archived.
async fn are_processed(archive: &PostgresArchive, number: usize) {
    eventually("all are processed", async || {
        let found = archive.latest(Query::all(), 99).await.unwrap();
        let states: Vec<_> = found.iter().map(|entry| entry.state.kind()).collect();
        states == vec![StateKind::Processed; number]
    })
    .await;
}

/// The processes that wait for a standby.
async fn waiting(client: &Client) -> Vec<i32> {
    let sql = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' ORDER BY pid";
    client.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn absent_standby_makes_requests_fail_with_503_and_its_return_ends_that() {
    let primary = Server::start("");
    let standby = primary.standby("standby").await;
    require(&primary, "standby").await;
    let client = primary.client().await;
    let builder = PostgresArchive::builder(&primary.url).require_synchronous_standby(true);
    let archive = builder.statement_deadline(Duration::from_secs(1)).open().await.unwrap();
    let model = mindee::extraction::<mindee::Fields>().unsigned();
    let inbox = Inbox::builder(archive.clone()).model(MODEL, model).build().unwrap();
    assert_eq!(post(&inbox, "before").await, (200, false));
    are_processed(&archive, 1).await;
    assert!(inbox.health().report().await.is_ready());

    standby.stop();
    assert_eq!(post(&inbox, "during").await, (503, true));
    let backends = waiting(&client).await;
    assert_eq!(backends.len(), 1, "the statement waits");
    assert!(!inbox.health().report().await.is_ready());
    assert_eq!(post(&inbox, "queued").await, (503, true));
    let later = waiting(&client).await;
    assert!(backends.iter().all(|backend| later.contains(backend)), "no statement was cancelled");
    assert!(later.len() <= 2, "no statement was sent twice");

    standby.start_again();
    eventually("it is ready", async || inbox.health().report().await.is_ready()).await;
    for job in ["during", "queued", "after"] {
        assert_eq!(post(&inbox, job).await, (200, false), "{job}");
    }
    are_processed(&archive, 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn appends_go_on_while_any_one_of_two_standbys_is_there() {
    let primary = Server::start("");
    let (a, b) = (primary.standby("a").await, primary.standby("b").await);
    require(&primary, "ANY 1 (a, b)").await;
    let builder = PostgresArchive::builder(&primary.url).require_synchronous_standby(true);
    let archive = builder.statement_deadline(Duration::from_secs(2)).open().await.unwrap();
    for (round, standby) in [&a, &b].into_iter().enumerate() {
        standby.kill().await;
        for number in 0..20 {
            let append = Append::new(delivery(&format!("{round} {number}")));
            let receipt = archive.append(append).await.unwrap().receipt;
            assert!(!receipt.is_repeat());
        }
        standby.start_again();
    }
    assert_eq!(archive.latest(Query::all(), 99).await.unwrap().len(), 40);
}
