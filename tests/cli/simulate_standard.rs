//! `inbox simulate standard`: events with faults, and retries.

use std::{
    net::SocketAddr,
    path::Path,
    process::Output,
    sync::{Arc, Mutex},
};

use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tower_inbox::{Inbox, MemoryArchive, Secret, provider::standard};

use super::{
    errors, inbox,
    send::{SECRET, Server, fixture},
};

async fn server() -> Server {
    let archive = MemoryArchive::new();
    let model = standard::event::<serde_json::Value>().signed_with(Secret::new(SECRET));
    let inbox = Inbox::builder(archive.clone()).model("/events", model.body_limit(64 << 10));
    Server::of(&inbox.build().unwrap(), archive).await
}

async fn simulate(address: SocketAddr, more: &'static [&'static str]) -> Output {
    let run = move || {
        let url = format!("http://{address}/events");
        let arguments = ["simulate", "standard", "--to", &url, "--secret", SECRET];
        inbox(Path::new("/nowhere"), &[&arguments[..], more].concat())
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn simulate_standard_runs_all_faults() {
    let server = server().await;
    let other = "whsec_b3RoZXJvdGhlcm90aGVyb3RoZXI=";
    let more: &'static [_] = vec![
        "--faults",
        "all",
        "--oversized",
        "100000",
        "--restart",
        "true",
        "--second-secret",
        other,
    ]
    .leak();
    let output = simulate(server.address, more).await;
    let printed = printed(&output);
    assert!(printed.contains("stale-signature       401 Unauthorized"), "{printed}");
    // This receiver does not accept the second secret.
    let unexpected: Vec<_> = printed.lines().filter(|line| line.contains("unexpected")).collect();
    assert!(unexpected.len() == 1 && unexpected[0].starts_with("rotated-signature"), "{printed}");
    assert!(!printed.contains("not applicable"), "{printed}");
    assert_eq!(output.status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn simulate_standard_posts_the_event_of_a_file() {
    let server = server().await;
    let file: &'static str = fixture("standard/event.json").leak();
    let output = simulate(server.address, vec!["--file", file, "--count", "2"].leak()).await;
    assert_eq!(output.status.code(), Some(0), "{}{}", printed(&output), errors(&output));
    let original: serde_json::Value =
        serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let archived = server.archived().await;
    assert_eq!(archived.len(), 2);
    for one in archived {
        let body: serde_json::Value = serde_json::from_slice(one.delivery.body()).unwrap();
        assert_eq!((&body["type"], &body["data"]), (&original["type"], &original["data"]));
        assert_ne!(body["timestamp"], original["timestamp"]);
    }
}

/// The message ids of requests, in the order of their receipt.
type Ids = Arc<Mutex<Vec<String>>>;

/// Serves these statuses, one for each request, and 204 after them.
async fn statuses(statuses: &'static [u16]) -> (SocketAddr, Ids) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, ids) = (listener.local_addr().unwrap(), Ids::default());
    let received = Arc::clone(&ids);
    let service = service_fn(move |request: Request<Incoming>| {
        let mut received = received.lock().unwrap();
        let status = statuses.get(received.len()).copied().unwrap_or(204);
        received.push(request.headers()["webhook-id"].to_str().unwrap().to_owned());
        let response = http::Response::builder().status(status).body(String::new());
        async move { response }
    });
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let connection =
                http1::Builder::new().serve_connection(TokioIo::new(stream), service.clone());
            tokio::spawn(connection);
        }
    });
    (address, ids)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn simulate_standard_retries_with_the_same_message_id_and_goes_on() {
    let (address, ids) = statuses(&[503, 429, 200]).await;
    let more = &["--retries", "5", "--backoff", "1ms", "--count", "2"];
    let output = simulate(address, more).await;
    let printed = printed(&output);
    assert_eq!(output.status.code(), Some(0), "{printed}{}", errors(&output));
    assert_eq!(printed.lines().count(), 4, "{printed}");
    assert_eq!(printed.matches("ms  retry in ").count(), 2, "{printed}");
    let ids = ids.lock().unwrap();
    assert!(ids[0] == ids[1] && ids[1] == ids[2] && ids[2] != ids[3], "{ids:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn simulate_standard_stops_at_410_and_gives_up_after_its_retries() {
    let (address, ids) = statuses(&[410]).await;
    let output = simulate(address, &["--retries", "5", "--count", "3"]).await;
    assert!(printed(&output).ends_with("ms  endpoint disabled\n"), "{}", printed(&output));
    assert_eq!((output.status.code(), ids.lock().unwrap().len()), (Some(1), 1));

    let (address, ids) = statuses(&[500; 10]).await;
    let output = simulate(address, &["--retries", "2", "--backoff", "1ms"]).await;
    assert!(printed(&output).ends_with("ms  given up after 3 attempts\n"), "{}", printed(&output));
    assert_eq!((output.status.code(), ids.lock().unwrap().len()), (Some(1), 3));
}

#[test]
fn errors_of_simulate_standard_name_the_option_and_not_the_secret() {
    let to = ["--to", "http://127.0.0.1:9/", "--secret", "whsec_hunter2!"];
    for (arguments, wanted) in [
        (&["--secret", "hunter2"][..], "--to <URL>"),
        (&to[..2], "INBOX_SECRET"),
        (&to[..], "secret"),
        (&[&to[..], &["--retries", "1", "--faults", "gzip"]].concat(), "cannot be used with"),
        (&[&to[..], &["--backoff", "1s"]].concat(), "--retries <N>"),
    ] {
        let output = inbox(Path::new("/nowhere"), &[&["simulate", "standard"], arguments].concat());
        let errors = errors(&output);
        assert!(errors.contains(wanted) && !errors.contains("hunter"), "{wanted}: {errors}");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}
