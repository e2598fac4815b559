//! `inbox dead`, `retry` and `replay`.

use std::{path::Path, time::Duration};

use serde_json::Value;
use tower_inbox::{
    Archive, Delivery, DeliveryId, DiskArchive, Outcome,
    delivery::{InferenceId, InferenceKey, State},
    provider::mindee,
    testing::Sample,
};

use super::{
    append, as_inference, builder, inbox,
    sending::{SECRET, Server},
    settled, written,
};

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
    let lines: Vec<_> = listed.lines().collect();
    assert_eq!(lines.len(), 2, "{listed}");
    assert!(lines[0].starts_with(&all[0].id().to_string()));
    assert!(lines[0].ends_with("dead: the handler returned 404"), "{listed}");
    assert!(lines[1].ends_with("undecodable: $.text is missing"), "{listed}");
    let objects = written(dir.path(), &["dead", "--json"]);
    let second: Value = serde_json::from_str(objects.lines().nth(1).unwrap()).unwrap();
    assert_eq!(second["reason"], "$.text is missing");
    assert_eq!(written(dir.path(), &["dead", "--state", "dead"]).lines().count(), 1);
    assert_eq!(written(dir.path(), &["dead", "--state", "processed"]), "");
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
    let lines: Vec<_> = listed.lines().collect();
    let inference = InferenceId::of(&"/m".parse().unwrap(), "inv_1").to_string();
    let reason = lines[0].split_once(&format!("/m  {inference}  dead: ")).unwrap().1;
    assert!(reason.starts_with(r"no\nledger\u{1b}[31mxxx") && reason.len() == 512, "{listed}");
    assert!(lines[1].ends_with("dead, poisoned: the process crashed"), "{listed}");
    assert_eq!(lines[1].split_whitespace().nth(3), Some("-"), "{listed}");
    let objects = written(dir.path(), &["dead", "--json"]);
    let objects: Vec<Value> =
        objects.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(objects[0]["inference"], inference.as_str());
    assert_eq!(objects[0]["reason"], reason);
    let poisoned: Vec<_> = objects.iter().map(|object| object["poisoned"].clone()).collect();
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
    assert_eq!(rows.lines().count(), 3, "{rows}");
    assert!(rows.starts_with(&first) && rows.contains("dead: the handler returned 404"), "{rows}");
    written(dir.path(), &["retry", &first]);
    assert_eq!(states(dir.path(), &all).await, ["pending", "undecodable", "failed", "processed"]);
    assert_eq!(inbox(dir.path(), &["retry", &first]).status.code(), Some(1), "already pending");
    written(dir.path(), &["retry", "--all"]);
    assert_eq!(states(dir.path(), &all).await, ["pending", "pending", "pending", "processed"]);
}

#[tokio::test]
async fn retry_by_id_requeues_what_it_can_and_reports_the_others() {
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
    let archive = builder(dir.path()).upkeep_every(pause).open().await.unwrap();
    let all = four(&archive).await;
    written(dir.path(), &["retry", "--state", "dead"]);
    assert_eq!(archive.state(all[0].id()).await.unwrap(), Some(State::NEW));
    assert_eq!(states(dir.path(), &all).await, ["pending", "undecodable", "failed", "processed"]);
    written(dir.path(), &["retry", &all[1].id().to_string(), &all[2].id().to_string()]);
    assert_eq!(states(dir.path(), &all).await, ["pending", "pending", "pending", "processed"]);
}

/// Archives three extractions that were signed with another secret than the server's.
async fn extractions(dir: &Path) -> Vec<Delivery> {
    let archive = builder(dir).open().await.unwrap();
    let mut all = Vec::new();
    for number in 0..3 {
        let body = format!(
            r#"{{"inference": {{"id": "{number}", "model": {{"id": "m"}}, "result": {{"fields": {{}}}},
            "file": {{"name": "f", "page_count": 1, "mime_type": "application/pdf"}}}}}}"#
        );
        let signature = mindee::signature(tower_inbox::Secret::new("old")).sign(body.as_bytes());
        let sample = Sample::of("/mindee").uri(format!("/mindee?n={number}").parse().unwrap());
        let sample = sample.header("x-signature", signature.unwrap().as_bytes());
        let one = sample.body(body).delivery();
        append(&archive, &one).await;
        all.push(one);
    }
    all
}

async fn replay(dir: &Path, server: &Server, more: &[&str]) -> (Option<i32>, String) {
    let url = format!("http://{}", server.address);
    let arguments = [&["replay", "--to", url.as_str()][..], more].concat();
    let arguments: Vec<_> = arguments.into_iter().map(str::to_owned).collect();
    let dir = dir.to_owned();
    let run = move || inbox(&dir, &arguments.iter().map(|a| &**a).collect::<Vec<_>>());
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), text)
}

#[tokio::test]
async fn replay_posts_archived_deliveries_in_order_with_head_and_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let all = extractions(dir.path()).await;
    let server = Server::start().await;
    let (code, said) = replay(dir.path(), &server, &["--dry-run"]).await;
    assert!(code == Some(0) && said.contains("would post 3 deliveries"), "{said}");
    let first = said.lines().next().unwrap();
    assert!(first.starts_with(&all[0].id().to_string()), "{said}");
    assert!(first.ends_with(&format!("POST http://{}/mindee?n=0", server.address)), "{said}");
    assert!(server.archived().await.is_empty(), "a dry run posts nothing");
    let (code, said) = replay(dir.path(), &server, &[]).await;
    assert!(code == Some(1) && said.contains("3  401"), "signed with another secret: {said}");
    assert!(server.archived().await.is_empty());

    let signing = ["--as", "mindee", "--secret", SECRET, "--header", "X-Team: blue"];
    let (code, said) = replay(dir.path(), &server, &signing).await;
    assert!(code == Some(0) && said.contains("3  202"), "{said}");
    let received = server.archived().await;
    assert_eq!(received.len(), 3);
    for (received, original) in received.iter().zip(&all) {
        let (received, head) = (&received.delivery, received.delivery.head());
        assert_eq!(received.body(), original.body());
        assert_eq!(head.uri(), original.head().uri());
        assert_eq!(head.headers()["inbox-replay"], original.id().to_string().as_str());
        assert!(head.headers().contains_key("inbox-received-at"));
        assert_eq!(head.headers()["x-team"], "blue");
    }
}

#[tokio::test]
async fn replay_posts_one_delivery_and_reports_an_unknown_one() {
    let dir = tempfile::tempdir().unwrap();
    let all = extractions(dir.path()).await;
    let server = Server::start().await;
    let signing = ["--as", "mindee", "--secret", SECRET, "--rate", "1000", "--concurrency", "4"];
    let one = all[1].id().to_string();
    let (code, said) = replay(dir.path(), &server, &[&[&*one][..], &signing].concat()).await;
    assert!(code == Some(0) && said.contains("1  202"), "{said}");
    let received = server.archived().await;
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].delivery.body(), all[1].body());
    let none = DeliveryId::new().to_string();
    let (code, said) = replay(dir.path(), &server, &[&[&*none][..], &signing].concat()).await;
    assert!(code == Some(2) && said.contains(&none), "{said}");
}

#[tokio::test]
async fn replay_requires_an_http_url_and_a_provider_for_the_secret() {
    let dir = tempfile::tempdir().unwrap();
    extractions(dir.path()).await;
    let to = ["replay", "--to", "http://127.0.0.1:9"];
    let unsaid = [&to[..], &["--secret", "s"]].concat();
    for arguments in [&["replay"][..], &["replay", "--to", "https://example.com"], &unsaid] {
        assert_eq!(inbox(dir.path(), arguments).status.code(), Some(2), "{arguments:?}");
    }
}
