//! `inbox simulate`: posts with faults, and the served API.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use http::{Request, header};
use http_body_util::BodyExt;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower_inbox::{
    Inbox, MemoryArchive, Secret,
    provider::{foxyai, mindee, standard},
};

use super::{
    errors, inbox,
    send::{SECRET, Server, fixture},
};

/// An inbox with a body limit of 64 KiB.
async fn server() -> Server {
    let archive = MemoryArchive::new();
    let model = mindee::extraction::<mindee::Fields>().signed_with(Secret::new(SECRET));
    let inbox = Inbox::builder(archive.clone()).model("/mindee", model.body_limit(64 << 10));
    Server::of(&inbox.build().unwrap(), archive).await
}

async fn simulate(url: String, secret: &'static str, more: &'static [&'static str]) -> Output {
    let run = move || {
        let arguments = ["simulate", "mindee", "--to", &url, "--secret", secret];
        inbox(Path::new("/nowhere"), &[&arguments[..], more].concat())
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn simulate_runs_all_faults_and_prints_a_line_for_each_request() {
    let server = server().await;
    let url = format!("http://{}/mindee", server.address);
    let more = &["--faults", "all", "--oversized", "100000", "--restart", "true"];
    let output = simulate(url, SECRET, more).await;
    let printed = printed(&output);
    assert_eq!(output.status.code(), Some(0), "{printed}{}", errors(&output));
    for (start, lines) in [
        ("none                  202 Accepted  ", 1),
        ("concurrent-duplicate  202 Accepted  ", 4),
        ("hang-up               hung up  ", 1),
        ("wrong-signature       401 Unauthorized  ", 1),
        ("stale-signature       not applicable: the signature has no timestamp", 1),
        ("rotated-signature     not applicable: there is no second secret", 1),
        ("restart               202 Accepted  ", 3),
    ] {
        let found = printed.lines().filter(|line| line.starts_with(start)).count();
        assert_eq!(found, lines, "{start}: {printed}");
    }
    assert!(!printed.contains("unexpected"), "{printed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn simulate_fails_if_a_response_is_unexpected_or_the_restart_fails() {
    let server = server().await;
    let url = format!("http://{}/mindee", server.address);
    let output = simulate(url.clone(), "another secret", &["--count", "2"]).await;
    let printed = printed(&output);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(printed.matches("ms  unexpected: not 2xx").count(), 2, "{printed}");
    let output = simulate(url, SECRET, &["--faults", "restart", "--restart", "exit 3"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(errors(&output).contains("the command of --restart failed"), "{}", errors(&output));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn simulate_posts_a_file_with_new_ids() {
    let server = server().await;
    let url = format!("http://{}/mindee", server.address);
    let file: &'static str = fixture("mindee/invoice.json").leak();
    let more: &'static [&str] = vec!["--file", file, "--count", "3", "--rate", "100"].leak();
    let output = simulate(url, SECRET, more).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let archived = server.archived().await;
    let bodies: Vec<serde_json::Value> =
        archived.iter().map(|one| serde_json::from_slice(one.delivery.body()).unwrap()).collect();
    assert_eq!(bodies.len(), 3);
    let original: serde_json::Value =
        serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    for body in &bodies {
        assert_eq!(body["inference"]["result"], original["inference"]["result"]);
    }
    let ids: std::collections::HashSet<_> =
        bodies.iter().map(|body| body["inference"]["id"].to_string()).collect();
    assert_eq!(ids.len(), 3);
}

#[test]
fn errors_of_simulate_name_the_option_and_not_the_secret() {
    let to = ["--to", "http://127.0.0.1:9/", "--secret", "hunter2"];
    for (arguments, wanted) in [
        (&["--secret", "hunter2"][..], "<--to <URL>|--listen <ADDRESS>>"),
        (&to[..2], "INBOX_SECRET"),
        (&["--to", "ftp://a/", "--secret", "hunter2"], "must begin with http:// or https://"),
        (&[&to[..], &["--faults", "hangup"]].concat(), "a similar value exists: 'hang-up'"),
        (&[&to[..], &["--product", "receipts"]].concat(), "extraction, classification"),
        (&[&to[..], &["--listen", "127.0.0.1:0"]].concat(), "cannot be used with"),
        (&[&to[..], &["--webhook", "a=http://b/"]].concat(), "cannot be used with"),
        (&["--listen", "127.0.0.1:0", "--rate", "1"], "cannot be used with"),
        (&["--listen", "127.0.0.1:0", "--webhook", "a"], "use ID=URL"),
    ] {
        let output = inbox(Path::new("/nowhere"), &[&["simulate", "mindee"], arguments].concat());
        let errors = errors(&output);
        assert!(errors.contains(wanted) && !errors.contains("hunter"), "{wanted}: {errors}");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

/// A served API, which ends with the test.
pub(crate) struct ServedApi {
    child: Child,
    pub(crate) url: String,
}

impl ServedApi {
    pub(crate) fn start(provider: &str, options: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_inbox"))
            .args(["simulate", provider, "--listen", "127.0.0.1:0"])
            .args(options)
            .env("INBOX_SECRET", SECRET)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        Self { child, url }
    }
}

impl Drop for ServedApi {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn served_api_posts_the_result_of_an_enqueued_file_to_its_webhook() {
    let server = server().await;
    let api =
        ServedApi::start("mindee", &["--webhook", &format!("w1=http://{}/mindee", server.address)]);
    let client = Client::builder(TokioExecutor::new()).build_http::<String>();
    let enqueue = Request::post(format!("{}/v2/products/extraction/enqueue", api.url))
        .header(header::AUTHORIZATION, "md_key")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body("model_id=m1&webhook_ids=w1&url=https://example.com/a.pdf".to_owned());
    let response = client.request(enqueue.unwrap()).await.unwrap();
    assert_eq!(response.status(), 202);
    let job = response.into_body().collect().await.unwrap().to_bytes();
    let job: serde_json::Value = serde_json::from_slice(&job).unwrap();
    assert!(job["job"]["polling_url"].as_str().unwrap().starts_with(&api.url), "{job}");
    let archived = server.archived_at_least(1).await;
    let body: serde_json::Value = serde_json::from_slice(archived[0].delivery.body()).unwrap();
    assert_eq!(body["inference"]["job"]["id"], job["job"]["id"]);
}

async fn gauntlet(url: String, provider: &'static str, more: &'static [&'static str]) -> Output {
    let run = move || {
        let arguments = ["gauntlet", &url, "--as", provider, "--secret", SECRET];
        inbox(Path::new("/nowhere"), &[&arguments[..], more].concat())
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gauntlet_passes_an_inbox_and_fails_another_service() {
    let archive = MemoryArchive::new();
    let model = mindee::extraction::<mindee::Fields>().signed_with(Secret::new(SECRET));
    let inbox = Inbox::builder(archive.clone()).model("/mindee", model.body_limit(2 << 20));
    let server = Server::of(&inbox.build().unwrap(), archive).await;
    let more = &["--oversized", "3000000", "--restart", "true", "--json"];
    let output = gauntlet(format!("http://{}/mindee", server.address), "mindee", more).await;
    let printed = printed(&output);
    let verdicts = super::objects(&printed);
    assert_eq!(verdicts.len(), 31);
    for verdict in verdicts.iter().filter(|one| one["scenario"] != "unknown-path") {
        let expected = match verdict["scenario"].as_str().unwrap() {
            "stale-signature" | "rotated-signature" | "signature-list" => "not-applicable",
            _ => "pass",
        };
        assert_eq!(verdict["result"], expected, "{verdict}");
    }
    // The server of this test passes every other path to a handler that answers 202.
    assert_eq!(output.status.code(), Some(1), "{}", errors(&output));

    let broken = format!("http://{}/broken", server.address);
    let output = gauntlet(broken, "mindee", &["--oversized", "10"]).await;
    let printed = self::printed(&output);
    assert_eq!(output.status.code(), Some(1));
    let failed = "fail            result                  request 1: 500 Internal Server Error, expected 2xx\n";
    assert!(printed.starts_with(failed), "{printed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gauntlet_passes_an_inbox_as_standard_webhooks_and_as_foxyai() {
    const SECOND: &str = "whsec_b3RoZXJvdGhlcm90aGVyb3RoZXI=";
    let secrets = || [Secret::new(SECRET), Secret::new(SECOND).named("second")];
    let events = standard::event::<serde_json::Value>().signed_with(secrets());
    let groups = foxyai::image_group().token_in_query("ticket", secrets());
    let archive = MemoryArchive::new();
    let inbox = Inbox::builder(archive.clone())
        .model("/standard", events.body_limit(2 << 20))
        .model("/foxyai", groups.body_limit(2 << 20));
    let server = Server::of(&inbox.build().unwrap(), archive).await;
    let more = &["--second-secret", SECOND, "--oversized", "3000000", "--restart", "true"];
    let with_token: &'static [_] = [&more[..], &["--token-name", "ticket"]].concat().leak();
    for (provider, more, passed) in [("standard", &more[..], 30), ("foxyai", with_token, 26)] {
        let output =
            gauntlet(format!("http://{}/{provider}", server.address), provider, more).await;
        let printed = printed(&output);
        // The server of this test passes every other path to a handler that answers 202.
        let failed = printed.lines().filter(|line| line.starts_with("fail "));
        assert!(
            failed.eq(printed.lines().filter(|line| line.contains(" unknown-path "))),
            "{printed}"
        );
        let found = printed.lines().filter(|line| line.starts_with("pass ")).count();
        assert_eq!(found, passed, "{provider}: {printed}{}", errors(&output));
    }
    let output =
        gauntlet("http://127.0.0.1:9/".to_owned(), "standard", &["--token-name", "t"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(errors(&output).contains("--token-name requires --as foxyai"), "{}", errors(&output));
}
