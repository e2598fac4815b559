//! `inbox replay`.

use std::path::Path;

use tower_inbox::{Delivery, DeliveryId, provider::mindee, testing::Sample};

use super::{
    append, builder, inbox,
    send::{SECRET, Server},
};

/// Archives three extractions that were signed with a secret other than the server's.
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
    let first = said.lines().nth(1).unwrap();
    assert!(first.starts_with(&all[0].id().to_string()), "{said}");
    assert!(first.ends_with(&format!("POST http://{}/mindee?n=0", server.address)), "{said}");
    assert!(server.archived().await.is_empty(), "a dry run posts nothing");
    let (code, said) = replay(dir.path(), &server, &[]).await;
    assert!(code == Some(1) && said.contains("3  401"), "signed with another secret: {said}");
    assert!(server.archived().await.is_empty());

    let signing = ["--as", "mindee", "--secret", SECRET, "--set-header", "X-Team: blue"];
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
async fn replay_posts_one_delivery_or_the_last_and_reports_an_unknown_one() {
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
    let (code, said) = replay(dir.path(), &server, &["--last", "2", "--dry-run"]).await;
    assert!(code == Some(0) && said.contains("would post 2 deliveries"), "{said}");
    assert!(!said.contains(&all[0].id().to_string()), "the latest are posted: {said}");
    let none = DeliveryId::new().to_string();
    let (code, said) = replay(dir.path(), &server, &[&[&*none][..], &signing].concat()).await;
    assert!(code == Some(1) && said.contains(&none), "{said}");
}

#[tokio::test]
async fn replay_requires_an_http_url_and_a_provider_for_the_secret() {
    let dir = tempfile::tempdir().unwrap();
    extractions(dir.path()).await;
    let to = ["replay", "--to", "http://127.0.0.1:9"];
    let unsaid = [&to[..], &["--secret", "s"]].concat();
    for arguments in [&["replay"][..], &["replay", "--to", "ftp://example.com"], &unsaid] {
        assert_eq!(inbox(dir.path(), arguments).status.code(), Some(2), "{arguments:?}");
    }
}
