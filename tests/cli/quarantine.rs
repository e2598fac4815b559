//! `inbox quarantine`.

use std::{path::Path, process::Output, time::Duration};

use serde_json::Value;
use tower_inbox::{Archive, Delivery, Secret, archive::Query, provider::mindee, testing::Sample};

use super::{
    append, builder, errors, ids, inbox,
    send::{SECRET, Server, fixture},
    written,
};

/// Two deliveries of the model `/mindee`: one signed with the server's secret, one with another secret.
fn rejected() -> [Delivery; 2] {
    let payload = std::fs::read_to_string(fixture("mindee/invoice.json")).unwrap();
    [SECRET, "another"].map(|secret| {
        let body = format!("{payload} {}", " ".repeat(secret.len())).into_bytes();
        let signature = mindee::signature(Secret::new(secret)).sign(&body).unwrap();
        let sample = Sample::of("/mindee").uri("/mindee".parse().unwrap());
        sample.header("x-signature", signature.as_bytes()).body(body).delivery()
    })
}

async fn quarantine(dir: &Path, arguments: &[&str]) -> Output {
    let path = dir.to_str().unwrap().to_owned();
    let arguments: Vec<_> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    let run = move || {
        let arguments: Vec<_> = arguments.iter().map(|argument| &**argument).collect();
        let before = ["quarantine", "--quarantine", path.as_str()];
        inbox(Path::new("/nowhere"), &[&before[..], &arguments].concat())
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn release_posts_deliveries_verified_by_the_repaired_secret_and_removes_them() {
    let dir = tempfile::tempdir().unwrap();
    // Run maintenance, which executes the removal, as a server does.
    let archive =
        builder(dir.path()).maintenance_interval(Duration::from_millis(20)).open().await.unwrap();
    let [good, bad] = rejected();
    for one in [&good, &bad] {
        append(&archive, one).await;
    }
    let server = Server::start().await;
    let to = format!("http://{}", server.address);
    let release = ["release", "--to", &to, "--as", "mindee", "--secret", SECRET];
    let output = quarantine(dir.path(), &[&release[..], &["--all", "--json"]].concat()).await;
    assert_eq!(output.status.code(), Some(1), "one is not released: {}", errors(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    let results: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&results[0]["released"], &results[0]["status"]), (&true.into(), &202.into()));
    assert_eq!((&results[1]["released"], &results[1]["status"]), (&false.into(), &Value::Null));
    assert!(results[1]["error"].is_string(), "{text}");
    let received = server.archived().await;
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].delivery.body(), good.body());
    assert!(archive.get(good.id()).await.unwrap().is_none());
    assert!(archive.get(bad.id()).await.unwrap().is_some());
    let output = quarantine(dir.path(), &[&release[..], &["--all"]].concat()).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("no known difference"), "{text}");
    assert_eq!(quarantine(dir.path(), &release).await.status.code(), Some(2), "no selection");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn release_keeps_a_delivery_whose_2xx_is_not_of_an_inbox() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let body = b"{}";
    let signature = mindee::signature(Secret::new(SECRET)).sign(body).unwrap();
    let sample = Sample::of("/other").uri("/other".parse().unwrap()).body(body.to_vec());
    let one = sample.header("x-signature", signature.as_bytes()).delivery();
    append(&archive, &one).await;
    archive.close().await;
    drop(archive);
    let server = Server::start().await;
    let to = format!("http://{}", server.address);
    let release = ["release", "--all", "--to", &to, "--as", "mindee", "--secret", SECRET];
    let output = quarantine(dir.path(), &release).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("202 Accepted without the header inbox-delivery-id"), "{text}");
    let archive = builder(dir.path()).open().await.unwrap();
    assert!(archive.get(one.id()).await.unwrap().is_some());
}

#[tokio::test]
async fn list_show_and_clear_process_the_quarantine() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let [one, other] = rejected();
    for one in [&one, &other] {
        append(&archive, one).await;
    }
    archive.close().await;
    drop(archive);
    let path = dir.path().to_str().unwrap();
    let all = [one.id().to_string(), other.id().to_string()];
    let listed = || {
        ids(&written(
            Path::new("/nowhere"),
            &["quarantine", "list", "--json", "--quarantine", path],
        ))
    };
    assert_eq!(listed(), all);
    let shown = quarantine(dir.path(), &["show", &all[0], "--body"]).await;
    assert_eq!(shown.stdout, one.body().as_ref());
    let dry = quarantine(dir.path(), &["clear", "--all", "--dry-run"]).await;
    assert!(errors(&dry).starts_with("would remove 2 deliveries"), "{dry:?}");
    assert_eq!(quarantine(dir.path(), &["clear"]).await.status.code(), Some(2));
    assert_eq!(quarantine(dir.path(), &["clear", &all[0]]).await.status.code(), Some(0));
    assert_eq!(listed(), all[1..]);
    assert_eq!(quarantine(dir.path(), &["clear", &all[0]]).await.status.code(), Some(1));
    assert_eq!(quarantine(dir.path(), &["clear", "--all"]).await.status.code(), Some(0));
    let archive = builder(dir.path()).open().await.unwrap();
    assert!(archive.latest(Query::all(), 1).await.unwrap().is_empty());
}
