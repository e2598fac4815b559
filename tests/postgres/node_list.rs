//! Nodes report themselves, and are listed.

use std::time::Duration;

use tower_inbox::Archive;

use super::support::{eventually, server};

async fn names(archive: &dyn Archive) -> Vec<String> {
    archive.nodes().await.unwrap().into_iter().map(|node| node.name).collect()
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn nodes_are_listed_until_they_close() {
    let schema = server().schema();
    let named = |name: &str| schema.builder().node_name(name.to_owned()).open();
    let first = named("a").await.unwrap();
    eventually("the first node has reported", async || names(&first).await == ["a"]).await;
    let second = named("b").await.unwrap();
    let unlisted = schema.builder().node_name(None).open().await.unwrap();
    eventually("both are listed", async || names(&unlisted).await == ["a", "b"]).await;
    for node in first.nodes().await.unwrap() {
        assert_eq!(node.version, env!("CARGO_PKG_VERSION"));
        assert!(node.silent_for <= node.running_for, "{node:?}");
        assert!(node.running_for < Duration::from_secs(60), "{node:?}");
    }
    second.close().await;
    unlisted.close().await;
    assert_eq!(names(&first).await, ["a"]);
    schema.drop().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn node_that_ended_without_closing_is_listed_for_a_day() {
    let schema = server().schema();
    let archive = schema.builder().node_name("here".to_owned()).open().await.unwrap();
    let client = schema.client().await;
    eventually("the node has reported", async || names(&archive).await == ["here"]).await;
    let ended = |hours: u32| {
        format!(
            "INSERT INTO nodes VALUES (gen_random_uuid(), '{hours} h', '0.1.0', \
             clock() - interval '30 hours', clock() - interval '{hours} hours')"
        )
    };
    client.batch_execute(&format!("{}; {}", ended(23), ended(25))).await.unwrap();
    let nodes = archive.nodes().await.unwrap();
    let hours: Vec<_> = nodes.iter().map(|node| node.silent_for.as_secs() / 3600).collect();
    assert_eq!(hours, [23, 25, 0], "in the order of their start");
    eventually("the next report forgets it", async || names(&archive).await == ["23 h", "here"])
        .await;
    schema.drop().await;
}
