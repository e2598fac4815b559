//! The conformance suite on a real server, and random histories of three nodes.

use std::sync::Arc;

use proptest::test_runner::{Config, TestRunner};
use tower_inbox::testing::{conformance, conformance_of_expiring_leases, conformance_of_pairs};

use super::{
    nodes::{self, NODES},
    support::{Schema, server, shared},
    virtual_time::VirtualTime,
};

/// The pairs of operations to run: every seventh, or every one if `INBOX_TEST_ALL` is set.
fn step() -> usize {
    if std::env::var_os("INBOX_TEST_ALL").is_some() { 1 } else { 7 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_archive_conforms() {
    let Some(server) = server() else { return };
    let schema = server.schema();
    let archive = schema.open().await;
    conformance(&archive).await;
    archive.maintain_now().await.unwrap();
    conformance(&archive).await;
    archive.close().await;
    schema.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_archive_conforms_in_every_pair_of_operations() {
    let Some(server) = server() else { return };
    let schema = server.schema();
    let archive = schema.builder().connections(12).open().await.unwrap();
    conformance_of_pairs(&archive, step()).await;
    archive.close().await;
    schema.drop().await;
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
fn leases_of_postgres_archive_expire() {
    let Some(server) = server() else { return };
    paused_runtime().block_on(async {
        let schema = server.schema();
        let [archive, ..] = open_nodes(&schema).await;
        conformance_of_expiring_leases(&archive).await;
        schema.drop().await;
    });
}

#[test]
fn every_delivery_settles_once_with_random_operations_of_several_nodes() {
    let Some(server) = server() else { return };
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
