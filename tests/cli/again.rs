//! `inbox dead`, `retry` and `replay`: what was not taken, and how it is handled again, here or elsewhere.

use std::{path::Path, time::Duration};

use serde_json::Value;
use tower_inbox::{
    Archive, Delivery, DeliveryId, DiskArchive, Outcome, provider::mindee, testing::Sample,
};

use super::{
    builder, inbox,
    sending::{SECRET, Server},
    written,
};

/// A dead one, an undecodable one, a failed one, and one that was processed.
async fn four(archive: &DiskArchive) -> Vec<Delivery> {
    let outcomes = [
        Outcome::dead("the handler answered 404"),
        Outcome::undecodable("$.text is missing"),
        Outcome::failed("the handler answered 503"),
        Outcome::processed(200),
    ];
    let mut all = Vec::new();
    for (number, outcome) in outcomes.into_iter().enumerate() {
        let one = Sample::of("/m").body(format!("{number}")).delivery();
        let _ = archive.append(one.clone()).await.unwrap();
        archive.settle(one.id(), outcome).await.unwrap();
        all.push(one);
    }
    all
}

async fn outcomes(dir: &Path, all: &[Delivery]) -> Vec<String> {
    let archive = DiskArchive::read_only(dir).await.unwrap();
    let mut outcomes = Vec::new();
    for one in all {
        let outcome = archive.outcome(one.id()).await.unwrap().unwrap();
        outcomes.push(outcome.kind().to_string());
    }
    outcomes
}

#[tokio::test]
async fn what_is_not_tried_again_is_listed_with_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let all = four(&builder(dir.path()).open().await.unwrap()).await;
    let listed = written(dir.path(), &["dead"]);
    let lines: Vec<_> = listed.lines().collect();
    assert_eq!(lines.len(), 2, "{listed}");
    assert!(lines[0].starts_with(&all[0].id().to_string()));
    assert!(lines[0].ends_with("dead: the handler answered 404"), "{listed}");
    assert!(lines[1].ends_with("undecodable: $.text is missing"), "{listed}");
    let objects = written(dir.path(), &["dead", "--json"]);
    let second: Value = serde_json::from_str(objects.lines().nth(1).unwrap()).unwrap();
    assert_eq!(second["reason"], "$.text is missing");
    assert_eq!(written(dir.path(), &["dead", "--outcome", "dead"]).lines().count(), 1);
    assert_eq!(written(dir.path(), &["dead", "--outcome", "processed"]), "");
}

#[tokio::test]
async fn what_was_not_taken_is_made_pending_again_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let all = four(&builder(dir.path()).open().await.unwrap()).await;
    let first = all[0].id().to_string();
    assert_eq!(inbox(dir.path(), &["retry"]).status.code(), Some(2), "it does not say which");
    let dry = inbox(dir.path(), &["retry", "--all", "--dry-run"]);
    let said = String::from_utf8_lossy(&dry.stderr).into_owned();
    assert!(said.starts_with("would have 3 deliveries handled again"), "{said}");
    let rows = String::from_utf8(dry.stdout).unwrap();
    assert_eq!(rows.lines().count(), 3, "{rows}");
    assert!(rows.starts_with(&first) && rows.contains("dead the handler answered 404"), "{rows}");
    written(dir.path(), &["retry", &first]);
    assert_eq!(outcomes(dir.path(), &all).await, ["pending", "undecodable", "failed", "processed"]);
    assert_eq!(inbox(dir.path(), &["retry", &first]).status.code(), Some(1), "it is pending");
    written(dir.path(), &["retry", "--all"]);
    assert_eq!(outcomes(dir.path(), &all).await, ["pending", "pending", "pending", "processed"]);
}

#[tokio::test]
async fn those_that_can_be_handled_again_are_and_the_others_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let all = four(&builder(dir.path()).open().await.unwrap()).await;
    let ids: Vec<_> = all.iter().map(|one| one.id().to_string()).collect();
    let output = inbox(dir.path(), &["retry", &ids[0], &ids[3], &ids[2], &ids[0]]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("{} is no delivery that is dead", ids[3])), "{said}");
    assert!(said.contains("2 deliveries will be handled again"), "{said}");
    assert_eq!(
        outcomes(dir.path(), &all).await,
        ["pending", "undecodable", "pending", "processed"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_writes_is_asked_to_do_it() {
    let dir = tempfile::tempdir().unwrap();
    let pause = Duration::from_millis(20);
    let archive = builder(dir.path()).upkeep_every(pause).open().await.unwrap();
    let all = four(&archive).await;
    written(dir.path(), &["retry", "--outcome", "dead"]);
    let pending = Outcome::Pending { attempts: 0, crashes: 0, running: false };
    assert_eq!(archive.outcome(all[0].id()).await.unwrap(), Some(pending));
    assert_eq!(outcomes(dir.path(), &all).await, ["pending", "undecodable", "failed", "processed"]);
    written(dir.path(), &["retry", &all[1].id().to_string(), &all[2].id().to_string()]);
    assert_eq!(outcomes(dir.path(), &all).await, ["pending", "pending", "pending", "processed"]);
}

/// An archive of three extractions that were signed with another secret than the server's.
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
        let _ = archive.append(one.clone()).await.unwrap();
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
async fn what_is_archived_is_posted_elsewhere_in_its_order_with_its_head_and_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let all = extractions(dir.path()).await;
    let server = Server::start().await;
    let (code, said) = replay(dir.path(), &server, &["--dry-run"]).await;
    assert!(code == Some(0) && said.contains("would post 3 deliveries"), "{said}");
    let first = said.lines().next().unwrap();
    assert!(first.starts_with(&all[0].id().to_string()), "{said}");
    assert!(first.ends_with(&format!("POST http://{}/mindee?n=0", server.address)), "{said}");
    assert!(server.archived().await.is_empty(), "it only says so");
    let (code, said) = replay(dir.path(), &server, &[]).await;
    assert!(code == Some(1) && said.contains("3  401"), "the secret is another: {said}");
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
async fn one_delivery_is_posted_alone_and_what_is_not_there_is_told() {
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
async fn without_a_url_or_with_one_that_is_not_spoken_nothing_is_posted() {
    let dir = tempfile::tempdir().unwrap();
    extractions(dir.path()).await;
    let to = ["replay", "--to", "http://127.0.0.1:9"];
    let unsaid = [&to[..], &["--secret", "s"]].concat();
    for arguments in [&["replay"][..], &["replay", "--to", "https://example.com"], &unsaid] {
        assert_eq!(inbox(dir.path(), arguments).status.code(), Some(2), "{arguments:?}");
    }
}
