//! `inbox simulate foxyai`: posted snapshots, and the served API.

use std::path::Path;

use http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::{Value, json};
use tower_inbox::{
    Inbox, MemoryArchive, Secret,
    provider::{
        Payload,
        foxyai::{self, ImageGroup, Status},
    },
};

use super::{errors, inbox, send::Server, simulate::ServedApi};

const TOKEN: &str = "hunter2";

async fn server() -> Server {
    let archive = MemoryArchive::new();
    let model = foxyai::image_group().token_in_query("token", Secret::new(TOKEN));
    let inbox = Inbox::builder(archive.clone()).model("/foxyai", model);
    Server::of(&inbox.build().unwrap(), archive).await
}

fn url(server: &Server, token: &str) -> String {
    format!("http://{}/foxyai?token={token}", server.address)
}

async fn simulate(to: String, more: &'static [&'static str]) -> std::process::Output {
    let run = move || {
        let arguments = ["simulate", "foxyai", "--to", &to];
        inbox(Path::new("/nowhere"), &[&arguments[..], more].concat())
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

fn groups(archived: &[tower_inbox::archive::Archived]) -> Vec<ImageGroup> {
    archived.iter().map(|one| ImageGroup::decode(one.delivery.body()).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn simulate_foxyai_posts_the_snapshots_of_one_group() {
    let server = server().await;
    let output = simulate(url(&server, TOKEN), &[]).await;
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let groups = groups(&server.archived().await);
    assert_eq!(groups.len(), 7);
    assert!(groups.windows(2).all(|pair| pair[1].is_newer_than(&pair[0])));
    assert_eq!(groups[6].status, Some(Status::Completed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn simulate_foxyai_runs_faults_that_need_no_signature() {
    let server = server().await;
    let output =
        simulate(url(&server, TOKEN), &["--faults", "late-older-state,wrong-signature,duplicate"])
            .await;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{printed}");
    assert_eq!(printed.matches("202 Accepted").count(), 4, "{printed}");
    let reason = "not applicable: the signature does not depend on the body";
    assert!(printed.contains(reason), "{printed}");
    let output = simulate(url(&server, "wrong"), &["--count", "1"]).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

async fn post(api: &ServedApi, path: &str, body: Value) -> (StatusCode, Value) {
    let client = Client::builder(TokioExecutor::new()).build_http::<String>();
    let request = Request::post(format!("{}{path}", api.url))
        .header(header::AUTHORIZATION, "Bearer key-1")
        .body(body.to_string());
    let response = client.request(request.unwrap()).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn served_api_of_foxyai_posts_snapshots_to_the_webhook_of_a_group() {
    let server = server().await;
    let api = ServedApi::start("foxyai", &["--api-key", "key-1"]);
    let (status, group) =
        post(&api, "/image-group", json!({"webhookUrl": url(&server, TOKEN)})).await;
    assert_eq!(status, 200, "{group}");
    let image = json!({"url": "https://example.com/a.jpg", "models": ["gutter", "hole"], "imageGroups": [group["_id"]]});
    assert_eq!(post(&api, "/image", image).await.0, 200);
    let mut groups = groups(&server.archived_at_least(3).await);
    groups.sort_by_key(ImageGroup::updated);
    assert_eq!(groups.len(), 3);
    assert_eq!(
        (&*groups[2].id, groups[2].status.clone()),
        (group["_id"].as_str().unwrap(), Some(Status::Completed))
    );

    let other = ServedApi::start("foxyai", &["--api-key", "key-2"]);
    assert_eq!(post(&other, "/image-group", json!({})).await.0, 401);
}

#[test]
fn options_of_the_other_mode_of_simulate_foxyai_are_rejected() {
    for (arguments, wanted) in [
        (&[][..], "<--to <URL>|--listen <ADDRESS>>"),
        (&["--to", "http://a/", "--listen", "127.0.0.1:0"], "cannot be used with"),
        (&["--to", "http://a/", "--processing-time", "1s"], "cannot be used with"),
        (&["--listen", "127.0.0.1:0", "--count", "1"], "cannot be used with"),
        (&["--to", "http://a/", "--secret", "S"], "unexpected argument '--secret'"),
        (&["--to", "ftp://a/?token=hunter2"], "must begin with http:// or https://"),
    ] {
        let output = inbox(Path::new("/nowhere"), &[&["simulate", "foxyai"], arguments].concat());
        let errors = errors(&output);
        assert!(errors.contains(wanted) && !errors.contains("hunter"), "{wanted}: {errors}");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}
