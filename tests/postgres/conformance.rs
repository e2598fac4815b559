//! The conformance suite on a real server, and random histories of three nodes.

use std::sync::Arc;

use proptest::test_runner::{Config, TestRunner};
use tower_inbox::{
    archive::PostgresArchive,
    testing::{conformance, conformance_of_expiring_leases, conformance_of_pairs},
};

use super::{
    nodes::{self, NODES},
    support::{Schema, Server, pgbouncer, server, shared},
    virtual_time::VirtualTime,
};

/// The pairs of operations to run: every seventh, or every one if `INBOX_TEST_ALL` is set.
fn step() -> usize {
    if std::env::var_os("INBOX_TEST_ALL").is_some() { 1 } else { 7 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn postgres_archive_conforms() {
    let server = server();
    let schema = server.schema();
    let archive = schema.open().await;
    conformance(&archive).await;
    archive.maintain_now().await.unwrap();
    conformance(&archive).await;
    archive.close().await;
    schema.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn postgres_archive_conforms_in_every_pair_of_operations() {
    let server = server();
    let schema = server.schema();
    let archive = schema.builder().connections(12).open().await.unwrap();
    conformance_of_pairs(&archive, step()).await;
    archive.close().await;
    schema.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn postgres_archive_conforms_over_pgbouncer_in_transaction_mode() {
    let server = Server::start("");
    let ((mut process, stdin), url) = pgbouncer(&server);
    let archive = PostgresArchive::builder(&url).schema("bounced").open().await.unwrap();
    conformance(&archive).await;
    conformance_of_pairs(&archive, 41).await;
    archive.maintain_now().await.unwrap();
    let client = server.client().await;
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'";
    let connections: i64 = client.query_one(sql, &[]).await.unwrap().get(0);
    assert!((2..=4).contains(&connections), "all statements went through pgbouncer: {connections}");
    archive.close().await;
    drop(stdin);
    process.wait().unwrap();
}

fn paused_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

/// Opens an archive for each node, in paused time that is also the clock of the database.
async fn open_nodes(schema: &Schema) -> [Arc<dyn tower_inbox::Archive>; NODES] {
    let time = VirtualTime::start(schema).await;
    let mut archives = Vec::new();
    for _ in 0..NODES {
        archives.push(shared(time.open(schema).await));
    }
    archives.try_into().unwrap_or_else(|_| panic!("one archive for each node"))
}

#[test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
fn leases_of_postgres_archive_expire() {
    let server = server();
    paused_runtime().block_on(async {
        let schema = server.schema();
        let [archive, ..] = open_nodes(&schema).await;
        conformance_of_expiring_leases(&archive).await;
        schema.drop().await;
    });
}

#[test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
fn every_delivery_settles_once_with_random_operations_of_several_nodes() {
    let server = server();
    let cases = if std::env::var_os("INBOX_TEST_ALL").is_some() { 300 } else { 30 };
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 100,
        ..Config::default()
    });
    let steps = proptest::collection::vec(nodes::step(), 1..60);
    let result = runner.run(&steps, |steps| {
        paused_runtime().block_on(async {
            let schema = server.schema();
            nodes::play(open_nodes(&schema).await, steps).await;
            schema.drop().await;
        });
        Ok(())
    });
    result.unwrap();
}
