//! A handler settles its delivery in its own transaction, and is killed between every two statements.

use std::time::Duration;

use tokio_postgres::Client;
use tower_inbox::{
    Archive, Digest, ModelName, Outcome,
    archive::{Acquire, Append, ArchiveError, Begun, Lease, PostgresArchive, Query},
    delivery::{InferenceDigest, InferenceKey},
    testing::Sample,
};
use uuid::Uuid;

use super::support::{Schema, server};

const LEASE: Duration = Duration::from_millis(200);

async fn leased(archive: &PostgresArchive, body: &str, length: Duration) -> Lease {
    let delivery = Sample::of("/hooks/effects").body(body.to_owned()).delivery();
    archive.append(Append::new(delivery).leased_for(length)).await.unwrap().lease.unwrap()
}

/// Runs the statements of a handler, and ends the connection after `steps` of them.
async fn handle(schema: &Schema, lease: Lease, steps: usize) -> Result<(), tokio_postgres::Error> {
    let client = schema.client().await;
    let id = Uuid::from_bytes(*lease.id().as_bytes());
    let token = Uuid::from_bytes(*lease.token().as_bytes());
    let statements = [
        "BEGIN".to_owned(),
        format!("INSERT INTO effects VALUES ('{id}')"),
        format!("SELECT processed('{id}', '{token}', 200)"),
        "COMMIT".to_owned(),
    ];
    for statement in statements.iter().take(steps) {
        client.batch_execute(statement).await?;
    }
    Ok(())
}

/// Ends a lease, when the connection that was ended has released its locks.
async fn expire(client: &Client, lease: Lease) {
    let id = Uuid::from_bytes(*lease.id().as_bytes());
    let sql = format!("UPDATE work SET due = clock() - interval '1 second' WHERE id = '{id}'");
    client.batch_execute(&sql).await.unwrap();
}

async fn effects(client: &Client, lease: Lease) -> i64 {
    let id = Uuid::from_bytes(*lease.id().as_bytes());
    let sql = format!("SELECT count(*) FROM effects WHERE delivery = '{id}'");
    client.query_one(&sql, &[]).await.unwrap().get(0)
}

async fn open(schema: &Schema) -> (PostgresArchive, Client) {
    let (archive, client) = (schema.open().await, schema.client().await);
    client.batch_execute("CREATE TABLE effects (delivery uuid)").await.unwrap();
    (archive, client)
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn handler_killed_between_any_two_statements_has_effects_exactly_once() {
    let server = server();
    let schema = server.schema();
    let (archive, client) = open(&schema).await;
    for steps in 0..=4 {
        let lease = leased(&archive, &steps.to_string(), Duration::from_secs(60)).await;
        handle(&schema, lease, steps).await.unwrap();
        expire(&client, lease).await;
        let again = archive.acquire(Acquire::new(lease.id())).await.unwrap().lease;
        assert_eq!(again.is_none(), steps == 4, "only the commit settles it: {steps}");
        if let Some(again) = again {
            handle(&schema, again, 4).await.unwrap();
        }
        assert_eq!(effects(&client, lease).await, 1, "killed after {steps} statements");
        let state = archive.state(lease.id()).await.unwrap().unwrap();
        assert_eq!(state, Outcome::processed(200).into());
    }
    let unsettled = archive.latest(Query::all().unsettled(), 9).await.unwrap();
    assert!(unsettled.is_empty(), "{unsettled:?}");
    schema.drop().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn effects_under_a_lost_lease_are_rolled_back() {
    let server = server();
    let schema = server.schema();
    let (archive, client) = open(&schema).await;
    let late = leased(&archive, "late", LEASE).await;
    tokio::time::sleep(2 * LEASE).await;
    let acquire = Acquire::new(late.id()).leased_for(Duration::from_secs(60));
    let current = archive.acquire(acquire).await.unwrap().lease.unwrap();
    let lost = handle(&schema, late, 4).await.unwrap_err();
    assert!(lost.as_db_error().unwrap().message().contains("was lost"), "{lost}");
    assert_eq!(effects(&client, late).await, 0);
    handle(&schema, current, 4).await.unwrap();
    handle(&schema, current, 4).await.unwrap_err();
    assert_eq!(effects(&client, late).await, 1);
    schema.drop().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn outcome_after_the_handlers_own_settle_is_accepted_and_adds_the_inference() {
    let server = server();
    let schema = server.schema();
    let (archive, _) = open(&schema).await;
    let long = Duration::from_secs(60);
    let lease = leased(&archive, "settled", long).await;
    handle(&schema, lease, 4).await.unwrap();
    let model: ModelName = "/hooks/effects".parse().unwrap();
    let inference = InferenceDigest::of(&model, &InferenceKey::new("job"), Digest::of(b"settled"));
    let outcome = Outcome::processed(201).with_inference(Some(inference));
    archive.settle(lease, outcome.clone(), Duration::ZERO).await.unwrap();
    assert_eq!(archive.state(lease.id()).await.unwrap(), Some(outcome.into()));
    let failed = archive.settle(lease, Outcome::failed("503"), Duration::ZERO).await;
    assert!(matches!(failed, Err(ArchiveError::LeaseLost { .. })), "{failed:?}");
    let other = leased(&archive, "other", long).await;
    let begun = archive.begin(other, inference).await.unwrap();
    assert_eq!(begun, Begun::Processed { of: lease.id(), status: 201 });
    schema.drop().await;
}
