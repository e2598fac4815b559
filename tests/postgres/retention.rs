//! Partitions of bodies, their removal, and what outlives it.

use std::time::Duration;

use tokio_postgres::Client;
use tower_inbox::{
    Archive, DeliveryId, Outcome,
    archive::{Acquire, Append, PostgresArchive, Query},
    delivery::{Delivery, Receipt, StateKind},
    testing::Sample,
};

use super::support::{Schema, server};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const LEASE: Duration = Duration::from_secs(60);

fn delivery(body: &str) -> Delivery {
    Sample::of("/hooks/retained").body(body.to_owned()).delivery()
}

async fn append(archive: &PostgresArchive, body: &str, outcome: Option<Outcome>) -> Delivery {
    let delivery = delivery(body);
    let append = Append::new(delivery.clone());
    let Some(outcome) = outcome else {
        let _ = archive.append(append).await.unwrap();
        return delivery;
    };
    let lease = archive.append(append.leased_for(LEASE)).await.unwrap().lease.unwrap();
    archive.settle(lease, outcome, Duration::ZERO).await.unwrap();
    delivery
}

/// Moves the clock of the archive.
pub(crate) async fn in_days(client: &Client, days: u32) {
    let clock = format!(
        "CREATE OR REPLACE FUNCTION clock() RETURNS timestamptz LANGUAGE sql VOLATILE \
         RETURN clock_timestamp() + interval '{days} days'"
    );
    client.batch_execute(&clock).await.unwrap();
}

async fn partitions(client: &Client) -> i64 {
    let sql = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'bodies'::regclass";
    client.query_one(sql, &[]).await.unwrap().get(0)
}

async fn open(schema: &Schema) -> PostgresArchive {
    let builder = schema.builder().retention(2 * DAY).ledger_retention(10 * DAY);
    builder.open().await.unwrap()
}

async fn has_body(archive: &PostgresArchive, id: DeliveryId) -> bool {
    archive.get(id).await.unwrap().is_some()
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn bodies_of_final_deliveries_are_dropped_and_all_others_are_kept() {
    let server = server();
    let schema = server.schema();
    let archive = open(&schema).await;
    let client = schema.client().await;
    let processed = append(&archive, "processed", Some(Outcome::processed(200))).await;
    let repeat = append(&archive, "repeat", Some(Outcome::repeat(DeliveryId::new()))).await;
    let kept = [
        append(&archive, "pending", None).await,
        append(&archive, "failed", Some(Outcome::failed("503"))).await,
        append(&archive, "dead", Some(Outcome::dead("404"))).await,
        append(&archive, "poisoned", Some(Outcome::poisoned("crashed"))).await,
        append(&archive, "undecodable", Some(Outcome::undecodable("$"))).await,
    ];
    let before = archive.counts().await.unwrap();
    in_days(&client, 2).await;
    archive.maintain_now().await.unwrap();
    assert!(has_body(&archive, processed.id()).await, "it is not old enough");
    assert_eq!(archive.counts().await.unwrap(), before);

    in_days(&client, 3).await;
    let created = partitions(&client).await;
    archive.maintain_now().await.unwrap();
    assert_eq!(partitions(&client).await, created, "one day was dropped, and one created");
    for gone in [&processed, &repeat] {
        assert!(!has_body(&archive, gone.id()).await);
        let repeated =
            archive.append(Append::new(delivery(std::str::from_utf8(gone.body()).unwrap()))).await;
        assert_eq!(repeated.unwrap().receipt, Receipt::repeat(gone.id()), "it is still known");
    }
    for delivery in &kept {
        let archived = archive.get(delivery.id()).await.unwrap().expect("its body");
        assert_eq!(&archived.delivery, delivery);
    }
    let after = archive.counts().await.unwrap();
    for kind in StateKind::ALL {
        let is_dropped = matches!(kind, StateKind::Processed | StateKind::Repeat);
        let expected = if is_dropped { 0 } else { before.of_all(kind) };
        assert_eq!(after.of_all(kind), expected, "{kind}");
    }
    let found = archive.latest(Query::all(), 99).await.unwrap();
    assert_eq!(found.len(), kept.len());
    schema.drop().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn day_of_an_unsettled_delivery_that_is_locked_is_dropped_in_a_later_round() {
    let server = server();
    let schema = server.schema();
    let archive = open(&schema).await;
    let (client, other) = (schema.client().await, schema.client().await);
    let processed = append(&archive, "processed", Some(Outcome::processed(200))).await;
    let pending = append(&archive, "pending", None).await;
    in_days(&client, 5).await;
    // Another node changes the delivery at this time, so its body cannot be moved.
    other.batch_execute("BEGIN; SELECT FROM work FOR UPDATE").await.unwrap();
    archive.maintain_now().await.unwrap();
    for kept in [&processed, &pending] {
        assert!(has_body(&archive, kept.id()).await, "the day is kept");
    }
    other.batch_execute("COMMIT").await.unwrap();
    archive.maintain_now().await.unwrap();
    assert!(!has_body(&archive, processed.id()).await);
    assert_eq!(archive.get(pending.id()).await.unwrap().unwrap().delivery, pending);
    schema.drop().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn ledger_entries_without_a_body_are_forgotten() {
    let server = server();
    let schema = server.schema();
    let archive = open(&schema).await;
    let client = schema.client().await;
    let processed = append(&archive, "processed", Some(Outcome::processed(200))).await;
    let dead = append(&archive, "dead", Some(Outcome::dead("404"))).await;
    in_days(&client, 5).await;
    archive.maintain_now().await.unwrap();
    assert!(archive.state(processed.id()).await.unwrap().is_some());
    in_days(&client, 11).await;
    archive.maintain_now().await.unwrap();
    assert_eq!(archive.state(processed.id()).await.unwrap(), None, "it is forgotten");
    assert!(has_body(&archive, dead.id()).await, "dead deliveries are kept");
    let again = delivery("processed");
    let appended = archive.append(Append::new(again.clone())).await.unwrap();
    assert_eq!(appended.receipt, Receipt::fresh(again.id()));
    assert_eq!(archive.retry(Query::all()).await.unwrap(), 1);
    let lease = archive.acquire(Acquire::new(dead.id())).await.unwrap().lease;
    assert!(lease.is_some(), "a kept delivery can be processed");
    schema.drop().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn day_without_a_partition_gets_one_when_a_delivery_arrives() {
    let server = server();
    let schema = server.schema();
    let archive = open(&schema).await;
    in_days(&schema.client().await, 30).await;
    let delivery = append(&archive, "late", None).await;
    assert!(has_body(&archive, delivery.id()).await);
    schema.drop().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn counts_are_the_same_after_maintenance() {
    let server = server();
    let schema = server.schema();
    let archive = open(&schema).await;
    let client = schema.client().await;
    for number in 0..10 {
        append(&archive, &format!("p {number}"), Some(Outcome::processed(200))).await;
        append(&archive, &format!("d {number}"), Some(Outcome::dead("404"))).await;
    }
    let before = archive.counts().await.unwrap();
    assert_eq!((before.of_all(StateKind::Processed), before.of_all(StateKind::Dead)), (10, 10));
    archive.maintain_now().await.unwrap();
    let changes = client.query_one("SELECT count(*) FROM count_changes", &[]).await.unwrap();
    assert_eq!(changes.get::<_, i64>(0), 0, "they are added up");
    assert_eq!(archive.counts().await.unwrap(), before);
    assert_eq!(archive.remove(Query::all().state(StateKind::Dead)).await.unwrap(), 10);
    assert_eq!(archive.counts().await.unwrap().of_all(StateKind::Dead), 0);
    let size = archive.size().await.unwrap();
    assert!(size.bodies > 0 && size.ledger > 0);
    let usage = archive.usage().await.unwrap().unwrap();
    assert_eq!((usage.used, usage.free), (size.all(), None));
    schema.drop().await;
}
