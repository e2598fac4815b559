//! Acknowledged deliveries are on the disk of the server and on its standbys. Statements are cancelled, connections
//! terminated, and servers restarted.

use std::time::{Duration, Instant};

use tokio_postgres::Client;
use tower_inbox::{
    Archive, Outcome,
    archive::{Acquire, Append, ArchiveError, Claim, PostgresArchive, Query, WriteState},
    delivery::{Delivery, Receipt, State},
    testing::Sample,
};

use super::support::{Server, eventually, server};

const LEASE: Duration = Duration::from_secs(60);

fn delivery(body: &str) -> Delivery {
    Sample::of("/hooks/durable").body(body.to_owned()).delivery()
}

/// The server waits for a standby that does not exist from now on.
async fn require_absent_standby(client: &Client) {
    configure(client, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'").await;
}

async fn require_no_standby(client: &Client) {
    configure(client, "ALTER SYSTEM SET synchronous_standby_names = ''").await;
}

async fn configure(client: &Client, setting: &str) {
    client.batch_execute(setting).await.unwrap();
    client.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    let wanted = if setting.contains("nobody") { "nobody" } else { "" };
    eventually("the configuration is loaded", async || {
        let row = client.query_one("SHOW synchronous_standby_names", &[]).await.unwrap();
        row.get::<_, String>(0) == wanted
    })
    .await;
    // Other processes of the server load it a moment later.
    tokio::time::sleep(Duration::from_millis(200)).await;
}

/// Calls `function` for the backend that waits for a standby, once there is one.
async fn signal_waiting(client: &Client, function: &str) {
    let sql = format!(
        "SELECT {function}(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep' \
         AND application_name = 'tower-inbox'"
    );
    eventually("a commit waits for the standby", async || {
        !client.query(&sql, &[]).await.unwrap().is_empty()
    })
    .await;
}

async fn number_waiting(client: &Client) -> i64 {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    client.query_one(sql, &[]).await.unwrap().get(0)
}

async fn open(server: &Server, deadline: Duration) -> PostgresArchive {
    server.schema().builder().statement_deadline(deadline).open().await.unwrap()
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn warning_of_cancelled_standby_wait_is_not_acknowledged_nor_is_a_repeat_of_it() {
    let server = Server::start("");
    let (client, archive) = (server.client().await, open(&server, Duration::from_secs(60)).await);
    require_absent_standby(&client).await;
    let first = delivery("cancelled");
    let append = tokio::spawn(archive.append(Append::new(first.clone())));
    signal_waiting(&client, "pg_cancel_backend").await;
    let result = append.await.unwrap();
    assert!(matches!(result, Err(ArchiveError::Unsure(_))), "a warning is no success: {result:?}");
    assert_eq!(archive.state(first.id()).await.unwrap(), Some(State::NEW), "but it is visible");

    let repeat = tokio::spawn(archive.append(Append::new(delivery("cancelled"))));
    eventually("the repeat waits for the standby", async || number_waiting(&client).await > 0)
        .await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!repeat.is_finished(), "a repeat is not acknowledged because its first is visible");
    require_no_standby(&client).await;
    assert_eq!(repeat.await.unwrap().unwrap().receipt, Receipt::repeat(first.id()));
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn settle_whose_standby_wait_was_cancelled_is_not_confirmed() {
    let server = Server::start("");
    let (client, archive) = (server.client().await, open(&server, Duration::from_secs(60)).await);
    let append = Append::new(delivery("settle")).leased_for(LEASE);
    let lease = archive.append(append).await.unwrap().lease.unwrap();
    require_absent_standby(&client).await;
    let settle = tokio::spawn(archive.settle(lease, Outcome::processed(200), Duration::ZERO));
    signal_waiting(&client, "pg_cancel_backend").await;
    let result = settle.await.unwrap();
    assert!(matches!(result, Err(ArchiveError::Unsure(_))), "{result:?}");
    let again = tokio::spawn(archive.settle(lease, Outcome::processed(200), Duration::ZERO));
    eventually("it waits for the standby", async || number_waiting(&client).await > 0).await;
    require_no_standby(&client).await;
    again.await.unwrap().expect("the outcome is recorded, and replicated now");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn lease_of_unconfirmed_append_is_released() {
    let server = Server::start("");
    let (client, archive) = (server.client().await, open(&server, Duration::from_secs(60)).await);
    require_absent_standby(&client).await;
    let first = delivery("unconfirmed");
    let append = tokio::spawn(archive.append(Append::new(first.clone()).leased_for(LEASE)));
    signal_waiting(&client, "pg_cancel_backend").await;
    append.await.unwrap().unwrap_err();
    eventually("it is pending, without a crash", async || {
        archive.state(first.id()).await.unwrap() == Some(State::NEW)
    })
    .await;
    require_no_standby(&client).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn damaged_body_is_an_error_and_is_stored_again() {
    let server = server();
    let schema = server.schema();
    let (archive, client) = (schema.open().await, schema.client().await);
    let (pending, processed) = (delivery("pending"), delivery("processed"));
    let _ = archive.append(Append::new(pending.clone())).await.unwrap();
    let append = Append::new(processed.clone()).leased_for(LEASE);
    let lease = archive.append(append).await.unwrap().lease.unwrap();
    archive.settle(lease, Outcome::processed(200), Duration::ZERO).await.unwrap();
    client.batch_execute("UPDATE bodies SET body = 'damaged'").await.unwrap();
    for damaged in [&pending, &processed] {
        let result = archive.get(damaged.id()).await;
        assert!(matches!(result, Err(ArchiveError::Damaged { .. })), "{result:?}");
    }
    let again = delivery("pending");
    let appended = archive.append(Append::new(again.clone())).await.unwrap();
    assert_eq!(appended.receipt, Receipt::fresh(again.id()));
    assert_eq!(archive.get(again.id()).await.unwrap().unwrap().delivery, again);
    let appended = archive.append(Append::new(delivery("processed"))).await.unwrap();
    assert_eq!(appended.receipt, Receipt::repeat(processed.id()), "its state is final");
    schema.drop().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn append_whose_answer_is_lost_is_sent_again_and_is_fresh() {
    let server = Server::start("");
    let (client, archive) = (server.client().await, open(&server, Duration::from_secs(60)).await);
    require_absent_standby(&client).await;
    let first = delivery("lost");
    let append = tokio::spawn(archive.append(Append::new(first.clone()).leased_for(LEASE)));
    signal_waiting(&client, "pg_terminate_backend").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    eventually("it is sent again", async || number_waiting(&client).await > 0).await;
    assert!(!append.is_finished());
    require_no_standby(&client).await;
    let appended = append.await.unwrap().unwrap();
    assert_eq!(appended.receipt, Receipt::fresh(first.id()), "its own row is no repeat");
    let lease = appended.lease.expect("the lease that the first attempt took");
    archive.settle(lease, Outcome::processed(200), Duration::ZERO).await.unwrap();
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn settle_whose_answer_is_lost_is_sent_again_and_is_done() {
    let server = Server::start("");
    let (client, archive) = (server.client().await, open(&server, Duration::from_secs(60)).await);
    for outcome in [Outcome::processed(200), Outcome::failed("503"), Outcome::dead("404")] {
        let append = Append::new(delivery(&outcome.to_string())).leased_for(LEASE);
        let lease = archive.append(append).await.unwrap().lease.unwrap();
        require_absent_standby(&client).await;
        let settle = tokio::spawn(archive.settle(lease, outcome.clone(), LEASE));
        signal_waiting(&client, "pg_terminate_backend").await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        require_no_standby(&client).await;
        settle.await.unwrap().unwrap();
        assert_eq!(archive.state(lease.id()).await.unwrap(), Some(State::from(outcome)));
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn statement_beyond_its_deadline_fails_and_is_not_cancelled() {
    let server = Server::start("");
    let (client, archive) = (server.client().await, open(&server, Duration::from_secs(1)).await);
    require_absent_standby(&client).await;
    let (first, second) = (delivery("late"), delivery("queued"));
    let start = Instant::now();
    let result = archive.append(Append::new(first.clone())).await;
    assert!(matches!(result, Err(ArchiveError::Unsure(_))), "{result:?}");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    let result = archive.append(Append::new(second.clone())).await;
    assert!(matches!(result, Err(ArchiveError::Unsure(_))), "{result:?}");
    let health = archive.health().await.unwrap();
    assert_eq!(health.writes, Some(WriteState::Stalled));
    assert_eq!(number_waiting(&client).await, 1, "no statement was cancelled or sent twice");
    require_no_standby(&client).await;
    eventually("both are stored in the end", async || {
        let known = async |delivery: &Delivery| archive.get(delivery.id()).await.unwrap().is_some();
        known(&first).await && known(&second).await
    })
    .await;
    assert_eq!(archive.health().await.unwrap().writes, Some(WriteState::Working));
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn archive_reconnects_after_the_server_has_crashed() {
    let server = Server::start("");
    let archive = open(&server, Duration::from_secs(20)).await;
    let first = delivery("before");
    let append = Append::new(first.clone()).leased_for(LEASE);
    let lease = archive.append(append).await.unwrap().lease.unwrap();
    server.stop();
    let (appending, settling) = (
        tokio::spawn(archive.append(Append::new(delivery("during")))),
        tokio::spawn(archive.settle(lease, Outcome::processed(200), Duration::ZERO)),
    );
    tokio::time::sleep(Duration::from_millis(500)).await;
    server.start_again();
    let _ = appending.await.unwrap().unwrap();
    settling.await.unwrap().unwrap();
    assert_eq!(archive.get(first.id()).await.unwrap().unwrap().delivery, first);
    assert_eq!(archive.state(first.id()).await.unwrap(), Some(Outcome::processed(200).into()));
    server.crash_and_restart();
    assert_eq!(archive.get(first.id()).await.unwrap().unwrap().delivery, first);
    let _ = archive.append(Append::new(delivery("after"))).await.unwrap();
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn health_recovers_after_an_outage_without_an_append() {
    let server = Server::start("");
    let archive = open(&server, Duration::from_millis(700)).await;
    let writes = async || archive.health().await.unwrap().writes;
    server.stop();
    archive.append(Append::new(delivery("during"))).await.unwrap_err();
    eventually("the failure is known", async || writes().await == Some(WriteState::Failing)).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(writes().await, Some(WriteState::Failing), "the server is still down");
    server.start_again();
    eventually("the node is ready", async || writes().await == Some(WriteState::Working)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn archive_opens_at_most_eight_connections() {
    let server = Server::start("");
    let archive = open(&server, Duration::from_secs(20)).await;
    let operations: Vec<_> = (0..64)
        .map(|number| {
            let archive = archive.clone();
            tokio::spawn(async move {
                let one = delivery(&number.to_string());
                let append = Append::new(one.clone()).leased_for(LEASE);
                let lease = archive.append(append).await.unwrap().lease.unwrap();
                assert!(archive.renew(vec![lease], LEASE).await.unwrap().is_empty());
                assert_eq!(archive.get(one.id()).await.unwrap().unwrap().delivery, one);
                archive.settle(lease, Outcome::processed(200), Duration::ZERO).await.unwrap();
            })
        })
        .collect();
    for operation in operations {
        operation.await.unwrap();
    }
    let count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tower-inbox'";
    let connections: i64 = server.client().await.query_one(count, &[]).await.unwrap().get(0);
    assert!((4..=8).contains(&connections), "{connections}");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn unreachable_server_is_unavailable_within_the_deadline() {
    let server = Server::start("");
    let archive = open(&server, Duration::from_millis(700)).await;
    server.stop();
    let start = Instant::now();
    let result = archive.append(Append::new(delivery("nobody"))).await;
    let refused = matches!(result, Err(ArchiveError::Unavailable(_) | ArchiveError::Unsure(_)));
    assert!(refused, "{result:?}");
    let result = archive.claim(Claim::new(vec![], 1)).await;
    assert!(matches!(result, Err(ArchiveError::Unavailable(_) | ArchiveError::Unsure(_))));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(archive.health().await.unwrap().writes, Some(WriteState::Failing));
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn terminated_connections_of_a_busy_archive_lose_nothing() {
    let server = Server::start("");
    let (client, archive) = (server.client().await, open(&server, Duration::from_secs(20)).await);
    let work = tokio::spawn({
        let archive = archive.clone();
        async move {
            let mut settled = Vec::new();
            for round in 0..40 {
                let bodies = (0..8).map(|number| format!("{round} {number}"));
                let deliveries: Vec<_> = bodies.map(|body| delivery(&body)).collect();
                let append = |delivery: &Delivery| {
                    tokio::spawn(archive.append(Append::new(delivery.clone()).leased_for(LEASE)))
                };
                let appends: Vec<_> = deliveries.iter().map(append).collect();
                for (append, delivery) in appends.into_iter().zip(deliveries) {
                    let appended = append.await.unwrap().unwrap();
                    assert_eq!(appended.receipt, Receipt::fresh(delivery.id()));
                    let lease = appended.lease.unwrap();
                    archive.settle(lease, Outcome::processed(200), Duration::ZERO).await.unwrap();
                    settled.push(delivery);
                }
            }
            settled
        }
    });
    let mut kills = 0;
    while !work.is_finished() {
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE application_name = 'tower-inbox' ORDER BY random() LIMIT 1";
        kills += client.query(sql, &[]).await.unwrap().len();
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    let settled = work.await.unwrap();
    assert!(kills > 10, "{kills}");
    for delivery in &settled {
        let archived = archive.get(delivery.id()).await.unwrap().unwrap();
        assert_eq!(&archived.delivery, delivery);
        assert_eq!(archived.state, Outcome::processed(200).into());
    }
    let counts = archive.counts().await.unwrap();
    let processed = counts.of_all(tower_inbox::delivery::StateKind::Processed);
    assert_eq!(processed, settled.len() as u64, "each is counted once");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn required_standby_that_is_gone_fails_maintenance() {
    let server = Server::start("");
    let client = server.client().await;
    let schema = server.schema();
    drop(schema.open().await);
    require_absent_standby(&client).await;
    let builder = schema.builder().require_synchronous_standby(true);
    let archive = builder.open().await.unwrap();
    require_no_standby(&client).await;
    let result = archive.maintain_now().await;
    assert!(matches!(result, Err(ArchiveError::Other(_))), "{result:?}");
}

/// Senders at a time, and the deliveries that each sends one after the other.
const IN_FLIGHT: usize = 64;
const EACH: usize = 20;

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn appends_and_outcomes_in_flight_share_commits() {
    let server = Server::start("");
    let (client, archive) = (server.client().await, open(&server, Duration::from_secs(60)).await);
    let transactions = async || -> i64 {
        let sql = "SELECT pg_current_xact_id()::text::bigint";
        client.query_one(sql, &[]).await.unwrap().get(0)
    };
    let before = transactions().await;
    let sender = |number| {
        let archive = archive.clone();
        tokio::spawn(async move {
            for round in 0..EACH {
                let delivery = delivery(&format!("{number} {round}"));
                let append = Append::new(delivery).leased_for(LEASE);
                let lease = archive.append(append).await.unwrap().lease.unwrap();
                archive.settle(lease, Outcome::processed(200), Duration::ZERO).await.unwrap();
            }
        })
    };
    let senders: Vec<_> = (0..IN_FLIGHT).map(sender).collect();
    for sender in senders {
        sender.await.unwrap();
    }
    let written = transactions().await - before;
    let deliveries = i64::try_from(IN_FLIGHT * EACH).unwrap();
    // One in five for the append, and the same for the outcome.
    assert!(5 * written <= 2 * deliveries, "{written} transactions for {deliveries} deliveries");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn single_append_of_less_than_32_kib_has_a_statement_of_its_own() {
    let server = Server::start("track_functions = all");
    let archive = open(&server, Duration::from_secs(60)).await;
    for kibibytes in [0, 1, 31, 33, 200] {
        let body = format!("{kibibytes}{}", "x".repeat(kibibytes << 10));
        let _ = archive.append(Append::new(delivery(&body))).await.unwrap();
    }
    // Sessions report their calls when they end.
    archive.close().await;
    let client = server.client().await;
    let sql = "SELECT funcname, calls FROM pg_stat_user_functions WHERE funcname IN ('append', 'append_one') ORDER BY 1";
    eventually("the calls are reported", async || {
        let rows = client.query(sql, &[]).await.unwrap();
        let calls: Vec<(String, i64)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        calls == [("append".to_owned(), 2), ("append_one".to_owned(), 3)]
    })
    .await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn full_queue_rejects_appends_at_once() {
    let server = Server::start("");
    let (client, schema) = (server.client().await, server.schema());
    let builder =
        schema.builder().queue_capacity(2, 1 << 20).statement_deadline(Duration::from_secs(60));
    let archive = builder.open().await.unwrap();
    require_absent_standby(&client).await;
    let mut appends = vec![tokio::spawn(archive.append(Append::new(delivery("running"))))];
    eventually("a commit waits for the standby", async || number_waiting(&client).await > 0).await;
    for body in ["queued", "queued too"] {
        appends.push(tokio::spawn(archive.append(Append::new(delivery(body)))));
    }
    let result = archive.append(Append::new(delivery("too many"))).await;
    assert!(matches!(result, Err(ArchiveError::Overloaded)), "{result:?}");
    require_no_standby(&client).await;
    for append in appends {
        let _ = append.await.unwrap().unwrap();
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn expired_lease_is_taken_over_by_another_node_and_the_late_outcome_is_lost() {
    let server = server();
    let schema = server.schema();
    let (one, two) = (schema.open().await, schema.open().await);
    let late = Duration::from_millis(300);
    let append = Append::new(delivery("slow")).leased_for(late);
    let lease = one.append(append).await.unwrap().lease.unwrap();
    let taken = two.acquire(Acquire::new(lease.id())).await.unwrap();
    assert_eq!(taken.lease, None, "one node holds it");
    tokio::time::sleep(2 * late).await;
    let taken = two.acquire(Acquire::new(lease.id())).await.unwrap().lease.unwrap();
    assert_eq!((taken.attempt(), taken.crashes()), (2, 1));
    for outcome in [Outcome::failed("503"), Outcome::dead("404")] {
        let result = one.settle(lease, outcome, Duration::ZERO).await;
        assert!(matches!(result, Err(ArchiveError::LeaseLost { .. })), "{result:?}");
    }
    assert_eq!(one.renew(vec![lease], late).await.unwrap(), [lease.id()]);
    two.settle(taken, Outcome::processed(200), Duration::ZERO).await.unwrap();
    let result = one.settle(lease, Outcome::processed(201), Duration::ZERO).await;
    assert!(matches!(result, Err(ArchiveError::LeaseLost { .. })), "{result:?}");
    schema.drop().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn claim_waits_for_the_only_due_delivery_while_another_transaction_changes_it() {
    let server = server();
    let schema = server.schema();
    let (archive, client) = (schema.open().await, schema.client().await);
    let append = Append::new(delivery("failed")).leased_for(LEASE);
    let lease = archive.append(append).await.unwrap().lease.unwrap();
    archive.settle(lease, Outcome::failed_at(1, "503"), Duration::ZERO).await.unwrap();
    client.batch_execute("BEGIN").await.unwrap();
    let retry = format!("SELECT retry('{{{}}}', '{{3}}', NULL)", lease.id());
    client.batch_execute(&retry).await.unwrap();
    let model = "/hooks/durable".parse().unwrap();
    let claim = tokio::spawn(archive.claim(Claim::new(vec![(model, 9)], 9)));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!claim.is_finished(), "the delivery was due all the time");
    client.batch_execute("COMMIT").await.unwrap();
    let claimed = claim.await.unwrap().unwrap().leases;
    let attempts: Vec<_> = claimed.iter().map(|(_, lease)| lease.attempt()).collect();
    assert_eq!(attempts, [1], "attempts start again after a retry");
    schema.drop().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn lease_of_dropped_claim_is_released() {
    let server = server();
    let schema = server.schema();
    let archive = schema.open().await;
    let model = "/hooks/durable".parse().unwrap();
    let _ = archive.append(Append::new(delivery("dropped"))).await.unwrap();
    drop(archive.claim(Claim::new(vec![(model, 9)], 9)));
    eventually("the delivery is pending again", async || {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let pending = archive.latest(Query::all().pending(), 9).await.unwrap();
        pending.iter().any(|entry| entry.state == State::NEW)
    })
    .await;
    schema.drop().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn closed_archive_has_sent_what_was_queued() {
    let server = server();
    let schema = server.schema();
    let archive = schema.open().await;
    let deliveries: Vec<_> = (0..20).map(|number| delivery(&number.to_string())).collect();
    let appends: Vec<_> =
        deliveries.iter().map(|delivery| archive.append(Append::new(delivery.clone()))).collect();
    archive.close().await;
    for append in appends {
        let _ = append.await.unwrap();
    }
    let result = archive.append(Append::new(delivery("late"))).await;
    assert!(matches!(result, Err(ArchiveError::Closed)), "{result:?}");
    let result = archive.state(deliveries[0].id()).await;
    assert!(matches!(result, Err(ArchiveError::Closed)), "{result:?}");
    schema.drop().await;
}
