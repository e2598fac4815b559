//! Versions of the schema, checks at opening, and secrets.

use tower_inbox::{
    Archive,
    archive::{Append, PostgresArchive},
    testing::Sample,
};

use super::support::{Server, server};

/// The whole chain of causes.
fn text(error: &dyn std::error::Error) -> String {
    let source = error.source().map(|source| format!(": {}", text(source)));
    error.to_string() + &source.unwrap_or_default()
}

const VERSION_1: &str = include_str!("../../src/archive/postgres/sql/0001/tables.sql");

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn version_1_with_rows_is_migrated() {
    let server = server();
    let schema = server.schema();
    let client = schema.client().await;
    client.batch_execute(&format!("CREATE SCHEMA {}", schema.name)).await.unwrap();
    client.batch_execute(VERSION_1).await.unwrap();
    client
        .batch_execute(
            "CREATE TABLE schema_version (version integer PRIMARY KEY, compatible_with integer NOT NULL,
                applied_at timestamptz DEFAULT now());
             INSERT INTO schema_version VALUES (1, 1);
             INSERT INTO ledger (id, seq, day, received_ns, length, kind, has_body, model, fingerprint, digest, outcome)
             VALUES ('01890a5d-ac96-774b-bcce-b302099a8057', nextval('append_order'), '2026-01-01', 7, 1, 2, false,
                '/hooks/old', '\\x00', '\\x00', 'processed 200');",
        )
        .await
        .unwrap();
    let status = schema.builder().schema_status().await.unwrap();
    assert_eq!(status.found, Some(1));
    assert!(!status.is_current());
    let refused = schema.builder().migrate(false).open().await.unwrap_err();
    assert!(
        text(&refused).contains("has version 1, and this version of the crate needs"),
        "{}",
        text(&refused)
    );
    let archive = schema.open().await;
    assert!(schema.builder().schema_status().await.unwrap().is_current());
    let old = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
    let state = archive.state(old).await.unwrap().unwrap();
    assert_eq!(state.to_string(), "processed 200");
    let delivery = Sample::of("/hooks/new").body("new").delivery();
    let _ = archive.append(Append::new(delivery)).await.unwrap();
    schema.drop().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn nodes_that_open_at_the_same_time_migrate_once() {
    let server = server();
    let schema = server.schema();
    let opens: Vec<_> = (0..5).map(|_| tokio::spawn(schema.builder().open())).collect();
    for open in opens {
        open.await.unwrap().unwrap();
    }
    schema.drop().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn newer_and_missing_schemas_are_refused() {
    let server = server();
    let schema = server.schema();
    let missing = schema.builder().migrate(false).open().await.unwrap_err();
    assert!(text(&missing).contains("does not exist"), "{}", text(&missing));
    drop(schema.open().await);
    let client = schema.client().await;
    let needed = schema.builder().schema_status().await.unwrap().needed;
    let compatible = format!("INSERT INTO schema_version VALUES (999, {needed})");
    client.batch_execute(&compatible).await.unwrap();
    drop(schema.open().await);
    client.batch_execute("INSERT INTO schema_version VALUES (1000, 1000)").await.unwrap();
    for migrate in [true, false] {
        let newer = schema.builder().migrate(migrate).open().await.unwrap_err();
        assert!(text(&newer).contains("has version 1000, which is newer than"), "{}", text(&newer));
    }
    schema.drop().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn script_creates_the_schema_for_a_service_that_may_not_create_tables() {
    let server = server();
    let (schema, client) = (server.schema(), server.client().await);
    client.batch_execute(&PostgresArchive::schema_script(&schema.name).unwrap()).await.unwrap();
    let (name, role) = (&schema.name, format!("role_{}", schema.name));
    client
        .batch_execute(&format!(
            "CREATE ROLE {role} LOGIN;
             GRANT USAGE ON SCHEMA {name} TO {role};
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {name} TO {role};
             GRANT USAGE ON ALL SEQUENCES IN SCHEMA {name} TO {role};"
        ))
        .await
        .unwrap();
    let url = server.url.replace("postgres@", &format!("{role}@"));
    let builder =
        PostgresArchive::builder(url).schema(name).migrate(false).maintenance_interval(None);
    let archive = builder.open().await.unwrap();
    let delivery = Sample::of("/hooks/granted").body("granted").delivery();
    let _ = archive.append(Append::new(delivery.clone())).await.unwrap();
    assert_eq!(archive.get(delivery.id()).await.unwrap().unwrap().delivery, delivery);
    archive.maintain_now().await.unwrap();
    archive.close().await;
    schema.drop().await;
    client.batch_execute(&format!("DROP ROLE {role}")).await.unwrap();
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn server_that_would_lose_deliveries_is_refused() {
    let server = Server::start("fsync = off");
    let refused = server.schema().builder().open().await.unwrap_err();
    assert!(text(&refused).contains("fsync is off"), "{}", text(&refused));
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn standby_and_isolation_are_checked() {
    let server = server();
    let schema = server.schema();
    let refused = schema.builder().require_synchronous_standby(true).open().await.unwrap_err();
    assert!(text(&refused).contains("no synchronous standby"), "{}", text(&refused));
    let url = format!("{}?options=-cdefault_transaction_isolation%3Dserializable", server.url);
    let refused = PostgresArchive::builder(url).schema(&schema.name).open().await.unwrap_err();
    assert!(text(&refused).contains("read committed"), "{}", text(&refused));
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn password_is_in_no_text() {
    let server = server();
    let schema = server.schema();
    let url = server.url.replace("postgres@", "postgres:pa55word@");
    let builder = || PostgresArchive::builder(&url).schema(&schema.name).maintenance_interval(None);
    let archive = builder().open().await.unwrap();
    let mut texts = vec![format!("{:?} {:?} {archive}", builder(), archive)];
    for invalid in ["postgres://u:pa55word@host:port/db", "host=a password=pa55word pa55word"] {
        let error = PostgresArchive::connect(invalid).await.unwrap_err();
        texts.push(format!("{error:?} {}", text(&error)));
        texts.push(format!("{:?}", PostgresArchive::builder(invalid)));
    }
    let unreachable = "postgres://u:pa55word@127.0.0.1:1/db";
    let deadline = std::time::Duration::from_millis(100);
    let error = PostgresArchive::builder(unreachable).statement_deadline(deadline).open().await;
    let error = error.unwrap_err();
    texts.push(format!("{error:?} {}", text(&error)));
    for text in texts {
        assert!(!text.contains("pa55word"), "{text}");
    }
    assert!(archive.to_string().starts_with("postgres archive at 127.0.0.1:"), "{archive}");
    schema.drop().await;
}
