//! Statements are prepared only where the builder says so.

use tower_inbox::{
    Archive,
    archive::{Append, PostgresArchive},
    testing::{Sample, conformance, conformance_of_pairs},
};

use super::support::Server;

/// A server that logs each statement with its name.
fn logging() -> Server {
    Server::start("log_statement = all")
}

/// The lines of the log in which a client calls this function of the schema.
fn calls(server: &Server, function: &str) -> Vec<String> {
    let call = format!("FROM \"prepared\".{function}(");
    let log = server.log();
    log.lines().filter(|line| line.contains(&call)).map(str::to_owned).collect()
}

async fn open(server: &Server, prepared: bool) -> PostgresArchive {
    let builder = PostgresArchive::builder(&server.url).schema("prepared").node_name(None);
    builder.prepared_statements(prepared).open().await.unwrap()
}

async fn append(archive: &PostgresArchive, body: &str) {
    let delivery = Sample::of("/hooks/prepared").body(body.to_owned()).delivery();
    let _ = archive.append(Append::new(delivery)).await.unwrap();
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn statements_have_a_name_only_if_they_are_prepared() {
    let server = logging();
    for (prepared, name) in [(false, "execute <unnamed>:"), (true, "execute s")] {
        let archive = open(&server, prepared).await;
        let before = calls(&server, "append_one").len();
        for body in ["one", "two", "three"] {
            append(&archive, &format!("{body} {prepared}")).await;
        }
        let calls = calls(&server, "append_one").split_off(before);
        assert_eq!(calls.len(), 3, "{calls:?}");
        assert!(calls.iter().all(|call| call.contains(name)), "{calls:?}");
        archive.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn archive_with_prepared_statements_conforms() {
    let server = logging();
    let archive = open(&server, true).await;
    conformance(&archive).await;
    conformance_of_pairs(&archive, 41).await;
    archive.maintain_now().await.unwrap();
    archive.close().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn prepared_statement_whose_function_has_other_columns_after_a_migration_is_replaced() {
    let server = logging();
    let archive = open(&server, true).await;
    // Appends take turns on several connections.
    for number in 0..9 {
        append(&archive, &format!("before {number}")).await;
    }
    let migrate = "
        ALTER FUNCTION prepared.append_one RENAME TO append_before;
        DO $$ DECLARE definition text := pg_get_functiondef('prepared.append_before'::regproc); BEGIN
            DROP FUNCTION prepared.append_before;
            EXECUTE definition;
        END $$;
        CREATE FUNCTION prepared.append_one(
            uuid, bytea, text, bigint, bytea, bytea, bytea, uuid, bigint, OUT stored boolean, OUT added text
        ) LANGUAGE sql AS
        'SELECT prepared.append_before($1, $2, $3, $4, $5, $6, $7, $8, $9), NULL::text'";
    server.client().await.batch_execute(migrate).await.unwrap();
    for number in 0..9 {
        append(&archive, &format!("after {number}")).await;
    }
    let log = server.log();
    assert!((1..=3).contains(&log.matches("ERROR:").count()), "once on each connection: {log}");
    assert!(log.contains("ERROR:  cached plan must not change result type"), "{log}");
    let deliveries = archive.counts().await.unwrap();
    assert_eq!(deliveries.of_all(tower_inbox::delivery::StateKind::Pending), 18);
    archive.close().await;
}
