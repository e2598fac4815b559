//! `inbox dead` and `inbox retry`.

use std::{path::Path, time::Duration};

use serde_json::Value;
use tower_inbox::{
    Archive, Delivery, DiskArchive, Outcome,
    delivery::{InferenceId, InferenceKey, State},
};

use super::{as_inference, builder, errors, inbox, objects, settled, written};

/// A dead delivery, an undecodable one, a failed one, and a processed one.
async fn four(archive: &DiskArchive) -> Vec<Delivery> {
    let outcomes = [
        Outcome::dead("the handler returned 404"),
        Outcome::undecodable("$.text is missing"),
        Outcome::failed("the handler returned 503"),
        Outcome::processed(200),
    ];
    let mut all = Vec::new();
    for (number, outcome) in outcomes.into_iter().enumerate() {
        all.push(settled(archive, "/m", &number.to_string(), outcome).await);
    }
    all
}

async fn states(dir: &Path, all: &[Delivery]) -> Vec<String> {
    let archive = DiskArchive::read_only(dir).await.unwrap();
    let mut states = Vec::new();
    for one in all {
        states.push(archive.state(one.id()).await.unwrap().unwrap().kind().to_string());
    }
    states
}

#[tokio::test]
async fn dead_and_undecodable_deliveries_are_listed_with_their_reason() {
    let dir = tempfile::tempdir().unwrap();
    let all = four(&builder(dir.path()).open().await.unwrap()).await;
    let listed = written(dir.path(), &["dead"]);
    let lines: Vec<_> = listed.lines().skip(1).collect();
    assert_eq!(lines.len(), 2, "{listed}");
    assert!(lines[0].starts_with(&all[0].id().to_string()));
    assert!(lines[0].ends_with("dead: the handler returned 404"), "{listed}");
    assert!(lines[1].ends_with("undecodable: $.text is missing"), "{listed}");
    let all = objects(&written(dir.path(), &["dead", "--json"]));
    assert_eq!(all[1]["reason"], "$.text is missing");
    let dead = objects(&written(dir.path(), &["dead", "--json", "--state", "dead"]));
    assert_eq!(dead.len(), 1);
    assert_eq!(inbox(dir.path(), &["dead", "--state", "processed"]).status.code(), Some(2));
}

#[tokio::test]
async fn dead_deliveries_are_listed_with_poisoned_reason_and_inference() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let long = format!("no\nledger\u{1b}[31m{}", "x".repeat(600));
    let dead = as_inference(Outcome::dead(&long), "/m", &InferenceKey::new("inv_1"));
    settled(&archive, "/m", "dead", dead).await;
    settled(&archive, "/m", "poisoned", Outcome::poisoned("the process crashed")).await;
    settled(&archive, "/m", "undecodable", Outcome::undecodable("$.text is missing")).await;
    let listed = written(dir.path(), &["dead"]);
    let lines: Vec<_> = listed.lines().skip(1).collect();
    let inference = InferenceId::of(&"/m".parse().unwrap(), "inv_1").to_string();
    let reason = lines[0].split_once(&format!("{inference}  dead: ")).unwrap().1;
    assert!(reason.starts_with(r"no\nledger\u{1b}[31mxxx") && reason.len() == 512, "{listed}");
    assert!(lines[1].ends_with("dead, poisoned: the process crashed"), "{listed}");
    assert_eq!(lines[1].split_whitespace().nth(3), Some("-"), "{listed}");
    let all = objects(&written(dir.path(), &["dead", "--json"]));
    assert_eq!(all[0]["inference"], inference.as_str());
    assert_eq!(all[0]["reason"], reason);
    let poisoned: Vec<_> = all.iter().map(|object| object["poisoned"].clone()).collect();
    assert_eq!(poisoned, [Value::Bool(false), Value::Bool(true), Value::Null]);
    let found = written(dir.path(), &["list", "--json", "--inference", &inference]);
    assert_eq!(found.lines().count(), 1, "what `dead` prints can be looked up: {found}");
}

#[tokio::test]
async fn retry_requeues_dead_undecodable_and_failed_deliveries_only() {
    let dir = tempfile::tempdir().unwrap();
    let all = four(&builder(dir.path()).open().await.unwrap()).await;
    let first = all[0].id().to_string();
    assert_eq!(inbox(dir.path(), &["retry"]).status.code(), Some(2), "no selection");
    let dry = inbox(dir.path(), &["retry", "--all", "--dry-run"]);
    let said = String::from_utf8_lossy(&dry.stderr).into_owned();
    assert!(said.starts_with("would retry 3 deliveries"), "{said}");
    let rows = String::from_utf8(dry.stdout).unwrap();
    assert_eq!(rows.lines().count(), 4, "a header and three deliveries: {rows}");
    assert!(rows.contains(&first) && rows.contains("dead: the handler returned 404"), "{rows}");
    written(dir.path(), &["retry", &first]);
    assert_eq!(states(dir.path(), &all).await, ["pending", "undecodable", "failed", "processed"]);
    assert_eq!(inbox(dir.path(), &["retry", &first]).status.code(), Some(1), "already pending");
    written(dir.path(), &["retry", "--all"]);
    assert_eq!(states(dir.path(), &all).await, ["pending", "pending", "pending", "processed"]);
}

#[tokio::test]
async fn retry_by_id_requeues_eligible_deliveries_and_reports_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let all = four(&builder(dir.path()).open().await.unwrap()).await;
    let ids: Vec<_> = all.iter().map(|one| one.id().to_string()).collect();
    let output = inbox(dir.path(), &["retry", &ids[0], &ids[3], &ids[2], &ids[0]]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains(&format!("delivery {} is not dead, undecodable or failed", ids[3])),
        "{said}"
    );
    assert!(said.contains("requeued 2 deliveries"), "{said}");
    assert_eq!(states(dir.path(), &all).await, ["pending", "undecodable", "pending", "processed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_is_executed_by_the_server_that_has_the_archive_open() {
    let dir = tempfile::tempdir().unwrap();
    let pause = Duration::from_millis(20);
    let archive = builder(dir.path()).maintenance_interval(pause).open().await.unwrap();
    let all = four(&archive).await;
    written(dir.path(), &["retry", "--state", "dead"]);
    assert_eq!(archive.state(all[0].id()).await.unwrap(), Some(State::NEW));
    assert_eq!(states(dir.path(), &all).await, ["pending", "undecodable", "failed", "processed"]);
    written(dir.path(), &["retry", &all[1].id().to_string(), &all[2].id().to_string()]);
    assert_eq!(states(dir.path(), &all).await, ["pending", "pending", "pending", "processed"]);
}

#[tokio::test]
async fn retry_accepts_a_unique_prefix_and_an_inference() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let mut all = four(&archive).await;
    let dead = as_inference(Outcome::dead("404"), "/m", &InferenceKey::new("inv_1"));
    all.push(settled(&archive, "/m", "of an inference", dead).await);
    archive.close().await;
    drop(archive);
    let id = all[1].id().to_string();
    written(dir.path(), &["retry", &id[..id.len() - 1]]);
    written(dir.path(), &["retry", "--inference", "inv_1"]);
    let wanted = ["dead", "pending", "failed", "processed", "pending"];
    assert_eq!(states(dir.path(), &all).await, wanted);
    let output = inbox(dir.path(), &["retry", "ffffffff"]);
    assert_eq!(output.status.code(), Some(1), "{}", errors(&output));
    assert_eq!(inbox(dir.path(), &["retry", "inv_1"]).status.code(), Some(2), "not an id");
}
