//! Each reason for which an inbox with an archive on PostgreSQL is not healthy: it is reported, and disappears again.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tokio_postgres::Client;
use tower::service_fn;
use tower_inbox::{
    Archive, HealthReason, Inbox, Model, Workers,
    archive::{Append, ArchiveHealth, PostgresArchive, SchemaState},
    layer::InboxBody,
    provider::InferenceKey,
    testing::Sample,
};

use super::support::{Server, eventually, server};

const MODEL: &str = "/hooks/health";

/// Waits until the inbox reports exactly these reasons, and is or is not ready.
async fn becomes(inbox: &Inbox, reasons: &[HealthReason], is_ready: bool) {
    let health = inbox.health();
    eventually(&format!("{reasons:?}"), async || {
        let report = health.report().await;
        report.reasons() == reasons && report.is_ready() == is_ready
    })
    .await;
}

fn inbox(archive: &PostgresArchive) -> Inbox {
    Inbox::builder(archive.clone()).build().unwrap()
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn unreachable_database_makes_an_idle_inbox_not_ready_until_it_is_back() {
    let server = Server::start("");
    let archive = server.schema().open().await;
    let inbox = inbox(&archive);
    becomes(&inbox, &[], true).await;
    server.stop();
    let lost = [HealthReason::DatabaseUnreachable, HealthReason::BacklogUnknown];
    becomes(&inbox, &lost, false).await;
    server.start_again();
    becomes(&inbox, &[], true).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn schema_that_does_not_fit_makes_the_inbox_not_ready() {
    let server = server();
    let schema = server.schema();
    let (archive, client) = (schema.open().await, schema.client().await);
    let inbox = inbox(&archive);
    let needed = schema.builder().schema_status().await.unwrap().needed;
    let delete = format!("DELETE FROM schema_version WHERE version = {needed}");
    let insert = format!("INSERT INTO schema_version VALUES ({needed}, 1)");
    let compatible = format!("INSERT INTO schema_version VALUES (1000, {needed})");
    for (change, back, state) in [
        ("INSERT INTO schema_version VALUES (1000, 1000)", "", SchemaState::TooNew),
        (&delete, &*insert, SchemaState::Outdated),
        (
            "ALTER TABLE schema_version RENAME TO hidden",
            "ALTER TABLE hidden RENAME TO schema_version",
            SchemaState::Missing,
        ),
        (&compatible, "", SchemaState::Usable),
    ] {
        client.batch_execute(change).await.unwrap();
        match state {
            SchemaState::TooNew => becomes(&inbox, &[HealthReason::SchemaTooNew], false).await,
            SchemaState::Usable => becomes(&inbox, &[], true).await,
            _ => becomes(&inbox, &[HealthReason::SchemaOutdated], false).await,
        }
        assert_eq!(archive.health().await.unwrap().database.unwrap().schema, Some(state));
        client.batch_execute(back).await.unwrap();
        client.batch_execute("DELETE FROM schema_version WHERE version = 1000").await.unwrap();
        becomes(&inbox, &[], true).await;
    }
    schema.drop().await;
}

async fn set_standby(client: &Client, name: &str) {
    let set = format!("ALTER SYSTEM SET synchronous_standby_names = '{name}'");
    client.batch_execute("SET synchronous_commit = local").await.unwrap();
    client.batch_execute(&set).await.unwrap();
    client.batch_execute("SELECT pg_reload_conf()").await.unwrap();
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn missing_synchronous_standby_is_reported_if_one_is_required() {
    let server = Server::start("synchronous_standby_names = 'standby'");
    let standby = server.standby("standby").await;
    let client = server.client().await;
    // For a role that may not see the state of standbys.
    let role = "CREATE ROLE receiver LOGIN; GRANT CREATE ON DATABASE postgres TO receiver";
    client.batch_execute(role).await.unwrap();
    for url in [server.url.clone(), server.url.replace("postgres@", "receiver@")] {
        let builder = PostgresArchive::builder(url).schema(format!("test_{}", fastrand::u64(..)));
        let builder = builder.require_synchronous_standby(true).maintenance_interval(None);
        let archive = builder.open().await.unwrap();
        let inbox = inbox(&archive);
        becomes(&inbox, &[], true).await;
        standby.stop();
        becomes(&inbox, &[HealthReason::StandbyMissing], true).await;
        standby.start_again();
        becomes(&inbox, &[], true).await;
        set_standby(&client, "").await;
        becomes(&inbox, &[HealthReason::StandbyMissing], true).await;
        set_standby(&client, "standby").await;
        becomes(&inbox, &[], true).await;
    }
    let open = server.schema().open().await;
    let ArchiveHealth { database, .. } = open.health().await.unwrap();
    assert_eq!(database.unwrap().has_standby, None, "none is required");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn leases_that_cannot_be_renewed_are_reported_before_they_end() {
    let server = server();
    let schema = server.schema();
    let (archive, mut client) = (schema.open().await, schema.client().await);
    let workers = Workers::new(1).lease_length(Duration::from_secs(9));
    let key = |_: &serde_json::Value| InferenceKey::new("one");
    let model = Model::json::<serde_json::Value>("in-house", key).unsigned();
    let inbox = Inbox::builder(archive.clone()).model(MODEL, model).workers(workers);
    let inbox = inbox.build().unwrap();
    let handler = service_fn(async |_: Request<InboxBody<Full<Bytes>>>| {
        tokio::time::sleep(Duration::from_secs(14)).await;
        Ok::<_, std::convert::Infallible>(Response::new(Full::<Bytes>::default()))
    });
    inbox.start_workers(handler).unwrap();
    let delivery = Sample::of(MODEL).body("{}").delivery();
    let _ = archive.append(Append::new(delivery.clone())).await.unwrap();
    eventually("it is running", async || {
        let state = archive.state(delivery.id()).await.unwrap();
        state.unwrap().to_string() == "leased 1 0"
    })
    .await;
    let lock = client.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE work IN ACCESS EXCLUSIVE MODE").await.unwrap();
    tokio::time::sleep(Duration::from_secs(7)).await;
    let report = inbox.health().report().await;
    assert!(report.reasons().contains(&HealthReason::LeasesNotRenewed), "{report:?}");
    lock.commit().await.unwrap();
    becomes(&inbox, &[], true).await;
    inbox.wait_idle().await;
    let state = archive.state(delivery.id()).await.unwrap().unwrap();
    assert!(state.to_string().starts_with("processed 200"), "renewed in time: {state}");
    schema.drop().await;
}
