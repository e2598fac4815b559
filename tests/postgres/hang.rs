//! The primary hangs while its host acknowledges packets, its standby is promoted, and the old primary continues.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use tokio::time::sleep;
use tower_inbox::{
    Archive, Outcome,
    archive::{Append, ArchiveError, PostgresArchive},
    delivery::{DeliveryId, Receipt, StateKind},
};

use super::{
    failover::{is_replicated, require},
    links::{is_processed, node, payload},
    support::{Server, eventually},
};

const DEADLINE: Duration = Duration::from_secs(2);
/// Renewed after a third of it.
const LEASE: Duration = Duration::from_secs(15);

async fn open(servers: &[&Server], deadline: Duration) -> PostgresArchive {
    let builder = PostgresArchive::builder(Server::url_of(servers));
    builder.statement_deadline(deadline).open().await.unwrap()
}

/// Appends a delivery. None if it was not acknowledged.
async fn append(archive: &PostgresArchive, job: &str) -> Option<DeliveryId> {
    let delivery = payload(job);
    match archive.append(Append::new(delivery.clone())).await {
        Ok(appended) => {
            assert_eq!(appended.receipt, Receipt::fresh(delivery.id()));
            Some(delivery.id())
        }
        Err(ArchiveError::Unsure(_) | ArchiveError::Unavailable(_)) => None,
        Err(error) => panic!("not the error of a database that is away: {error:?}"),
    }
}

/// Appends deliveries until a few are acknowledged, each with another body.
async fn append_some(archive: &PostgresArchive, job: &str) -> Vec<DeliveryId> {
    let mut acknowledged = Vec::new();
    for number in 0..30 {
        acknowledged.extend(append(archive, &format!("{job} {number}")).await);
        if acknowledged.len() == 10 {
            return acknowledged;
        }
    }
    panic!("only {} deliveries were acknowledged", acknowledged.len());
}

async fn append_and_settle(archive: &PostgresArchive, job: &str) -> DeliveryId {
    let append = Append::new(payload(job)).leased_for(LEASE);
    let lease = archive.append(append).await.unwrap().lease.unwrap();
    archive.settle(lease, Outcome::processed(200), Duration::ZERO).await.unwrap();
    lease.id()
}

/// Opens all connections, so that some are idle afterwards.
async fn use_all_connections(archive: &PostgresArchive) {
    let id = payload("none").id();
    for state in join_all((0..20).map(|_| archive.state(id))).await {
        assert_eq!(state.unwrap(), None);
    }
}

/// Checks that deliveries are archived at one server, and not at the other one.
async fn are_only_at(new: &PostgresArchive, old: &PostgresArchive, deliveries: &[DeliveryId]) {
    for id in deliveries {
        assert!(new.state(*id).await.unwrap().is_some(), "{id} is not at the new primary");
        assert_eq!(old.state(*id).await.unwrap(), None, "{id} is at the old primary");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn node_leaves_a_primary_that_hangs_for_the_promoted_standby_and_never_returns() {
    let primary = Server::start("");
    let standby = primary.standby("standby").await;
    let archive = open(&[&primary, &standby], DEADLINE).await;
    let may_end = Arc::new(AtomicBool::new(false));
    let (inbox, runs) = node(&archive, &may_end, LEASE);
    let running = append(&archive, "running").await.unwrap();
    eventually("the node runs it", async || runs.all() == ["started"]).await;
    use_all_connections(&archive).await;
    let client = primary.client().await;
    // The claim, which did not wait for the disk.
    client.batch_execute("SELECT pg_logical_emit_message(true, '', '')").await.unwrap();
    is_replicated(&client).await;

    let hang = primary.hang();
    let start = Instant::now();
    assert_eq!(append(&archive, "while no server answers").await, None);
    assert!(start.elapsed() < 4 * DEADLINE, "{:?}", start.elapsed());
    eventually("the node is not ready", async || !inbox.health().report().await.is_ready()).await;
    standby.promote();
    let new = open(&[&standby], DEADLINE).await;
    let mut acknowledged = append_some(&archive, "promoted").await;
    eventually("the node is ready", async || inbox.health().report().await.is_ready()).await;
    sleep((start + LEASE + Duration::from_secs(1)).duration_since(Instant::now())).await;
    let state = new.state(running).await.unwrap().unwrap();
    assert_eq!(state.to_string(), "leased 1 0", "its lease was renewed at the new primary");
    may_end.store(true, Ordering::Release);
    eventually("it is processed", async || is_processed(&new, running).await).await;
    eventually("the node runs deliveries of the new primary", async || {
        is_processed(&new, acknowledged[0]).await
    })
    .await;

    drop(hang);
    let old = open(&[&primary], DEADLINE).await;
    assert_eq!(old.state(running).await.unwrap().unwrap().kind(), StateKind::Leased);
    use_all_connections(&archive).await;
    acknowledged.extend(append_some(&archive, "continued").await);
    let close = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tower-inbox'";
    standby.client().await.batch_execute(close).await.unwrap();
    acknowledged.extend(append_some(&archive, "connected again").await);
    are_only_at(&new, &old, &acknowledged).await;
    assert!(!runs.all().contains(&"aborted"), "{:?}", runs.all());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn old_primary_that_waits_for_its_promoted_standby_is_left() {
    let primary = Server::start("");
    let standby = primary.standby("standby").await;
    require(&primary, "standby").await;
    let archive = open(&[&primary, &standby], DEADLINE).await;
    let before = append_and_settle(&archive, "before").await;
    use_all_connections(&archive).await;

    let hang = primary.hang();
    standby.promote();
    // Before anything was sent that could find out.
    drop(hang);
    let mut acknowledged = append_some(&archive, "waits").await;
    acknowledged.push(before);
    // Not over the connections to the old primary that were idle meanwhile.
    acknowledged.push(append_and_settle(&archive, "after").await);
    for state in join_all(acknowledged.iter().map(|id| archive.state(*id))).await {
        assert!(state.unwrap().is_some(), "a delivery is not read from the new primary");
    }
    let new = open(&[&standby], DEADLINE).await;
    for id in acknowledged {
        assert!(new.state(id).await.unwrap().is_some(), "{id} is not at the new primary");
    }
}
