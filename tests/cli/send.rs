use std::{convert::Infallible, net::SocketAddr, path::Path, process::Output, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use serde_json::Value;
use tokio::{net::TcpListener, time::Instant};
use tower::{Layer, service_fn};
use tower_inbox::{
    Archive, Inbox, MemoryArchive, Secret,
    archive::{Archived, Query},
    layer::InboxBody,
    provider::{foxyai, mindee, openai},
};

use super::{errors, inbox};

pub(crate) const SECRET: &str = "whsec_c2VjcmV0c2VjcmV0c2VjcmV0";

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    archive: MemoryArchive,
}

impl Server {
    /// An inbox that verifies signatures. Requests to other paths reach the handler.
    pub(crate) async fn start() -> Self {
        let archive = MemoryArchive::new();
        let inbox = Inbox::builder(archive.clone())
            .model(
                "/mindee",
                mindee::extraction::<mindee::Fields>().signed_with(Secret::new(SECRET)),
            )
            .model("/foxyai", foxyai::image_group().token_in_query("ticket", Secret::new(SECRET)))
            .model("/openai", openai::event().signed_with(Secret::new(SECRET)))
            .build()
            .unwrap();
        Self::of(&inbox, archive).await
    }

    pub(crate) async fn of(inbox: &Inbox, archive: MemoryArchive) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = TowerToHyperService::new(inbox.layer().layer(service_fn(answer)));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service.clone());
                tokio::spawn(connection);
            }
        });
        Self { address, archive }
    }

    async fn send(&self, path: &str, provider: &str, file: &str, more: &[&str]) -> Output {
        self.send_with(SECRET, path, provider, file, more).await
    }

    pub(crate) async fn send_with(
        &self,
        secret: &str,
        path: &str,
        provider: &str,
        file: &str,
        more: &[&str],
    ) -> Output {
        let url = format!("http://{}{path}", self.address);
        let arguments = ["send", &url, "--as", provider, "--secret", secret, file];
        run([&arguments[..], more].concat().into_iter().map(str::to_owned).collect()).await
    }

    pub(crate) async fn archived(&self) -> Vec<Archived> {
        let (mut found, mut all) = (self.archive.scan(Query::all()), Vec::new());
        while let Some(archived) = found.next().await {
            all.push(archived.unwrap());
        }
        all
    }

    /// Waits until this number of deliveries is archived, for at most 30 s. Returns all.
    pub(crate) async fn archived_at_least(&self, number: usize) -> Vec<Archived> {
        let start = Instant::now();
        loop {
            let archived = self.archived().await;
            if archived.len() >= number || start.elapsed() > Duration::from_secs(30) {
                return archived;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn run(arguments: Vec<String>) -> Output {
    let run =
        move || inbox(Path::new("/nowhere"), &arguments.iter().map(|a| &**a).collect::<Vec<_>>());
    tokio::task::spawn_blocking(run).await.unwrap()
}

async fn answer(
    request: Request<InboxBody<Incoming>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let status = match request.uri().path() {
        "/broken" => 500,
        "/moved" => 307,
        _ => 202,
    };
    let response = Response::builder().status(status).header("location", "/mindee");
    Ok(response.body(Full::from("taken")).unwrap())
}

pub(crate) fn fixture(name: &str) -> String {
    format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn send_posts_the_exact_bytes_as_the_provider_does() {
    let server = Server::start().await;
    for (path, provider, file, more) in [
        ("/mindee", "mindee", "mindee/invoice.json", &[][..]),
        ("/foxyai", "foxyai", "foxyai/group_completed.json", &["--token-name", "ticket"]),
        ("/openai", "openai", "openai/response_completed.json", &[]),
    ] {
        let file = fixture(file);
        let output = server.send(path, provider, &file, more).await;
        let printed = printed(&output);
        assert!(printed.starts_with("202 Accepted\n"), "{provider}: {output:?}");
        assert!(printed.contains("\nlocation: /mindee\n"), "headers are printed: {printed}");
        assert!(printed.ends_with("\n\ntaken\n"), "{printed}");
        assert_eq!(output.status.code(), Some(0));
        let archived = server.archived().await;
        assert_eq!(archived.last().unwrap().delivery.body(), &std::fs::read(file).unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn send_fails_if_the_response_is_not_2xx() {
    let server = Server::start().await;
    let file = fixture("mindee/invoice.json");
    for (path, provider, status) in [
        ("/mindee", "mindee-v1", "401 Unauthorized"),
        ("/broken", "mindee", "500 Internal Server Error"),
        ("/moved", "mindee", "307 Temporary Redirect"),
    ] {
        let output = server.send(path, provider, &file, &[]).await;
        assert!(printed(&output).starts_with(status), "{output:?}");
        assert_eq!(output.status.code(), Some(1), "{path}");
        let output = server.send(path, provider, &file, &["--repeat", "2"]).await;
        assert!(printed(&output).starts_with(&format!("           2  {status}\n")), "{output:?}");
        assert_eq!(output.status.code(), Some(1), "{path}");
    }
    assert!(server.archived().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn send_repeats_within_the_rate() {
    let server = Server::start().await;
    let file = fixture("mindee/invoice.json");
    let begin = Instant::now();
    let load = ["--repeat", "21", "--concurrency", "4", "--rate", "100"];
    let output = server.send("/mindee", "mindee", &file, &load).await;
    assert!(begin.elapsed() >= Duration::from_millis(200), "the last is due after 20 others");
    assert!(printed(&output).starts_with("          21  202 Accepted\n"), "{output:?}");
    assert!(printed(&output).ends_with("  seconds\n"));
    assert_eq!(output.status.code(), Some(0));
    assert!(!server.archived().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_of_send_do_not_contain_the_secret() {
    let file = fixture("mindee/invoice.json");
    // No process listens on the port after the drop.
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let closed = format!("http://{closed}/?token=hunter2");
    for (arguments, wanted) in [
        (vec!["ftp://localhost/", "--as", "mindee", "--secret", "hunter2"], "http://"),
        (vec!["http://localhost/", "--as", "acme", "--secret", "hunter2"], "baseten, bfl"),
        (vec!["http://localhost/", "--as", "mindee", "--secret", ""], "empty"),
        (vec!["http://localhost/", "--as", "mindee"], "INBOX_SECRET"),
        (vec!["http://localhost/", "--secret", "hunter2"], "--as <PROVIDER>"),
        (vec![&closed, "--as", "mindee", "--secret", "hunter2"], "onnect"),
        (
            vec![&closed, "--as", "mindee", "--secret", "hunter2", "--repeat", "0"],
            "invalid value '0' for '--repeat",
        ),
        (vec![&closed, "--as", "mindee", "--secret", "hunter2", "--rate", "7"], "--repeat <N>"),
        (
            vec![&closed, "--as", "mindee", "--secret", "hunter2", "--concurrency", "7"],
            "--repeat <N>",
        ),
        (vec![&closed, "--as", "fal", "--secret", "hunter2"], "d25519"),
    ] {
        let arguments = ["send"].into_iter().chain(arguments).chain([&*file]);
        let output = run(arguments.map(str::to_owned).collect()).await;
        let errors = errors(&output);
        assert!(errors.contains(wanted), "{wanted}: {errors}");
        assert!(!errors.contains("hunter"), "{errors}");
        assert_eq!(output.status.code(), Some(2), "{errors}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn send_varies_one_value_of_each_body() {
    let server = Server::start().await;
    let file = fixture("mindee/invoice.json");
    let load = ["--repeat", "5", "--concurrency", "2", "--vary", "/inference/id"];
    let output = server.send("/mindee", "mindee", &file, &load).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let archived = server.archived().await;
    let bodies: Vec<Value> = archived
        .iter()
        .map(|archived| serde_json::from_slice(archived.delivery.body()).unwrap())
        .collect();
    let mut ids: Vec<_> = bodies.iter().map(|body| body["inference"]["id"].to_string()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 5, "each is a delivery of its own: {ids:?}");
    let output = server.send("/mindee", "mindee", &file, &["--repeat", "2", "--vary", "/no"]).await;
    assert!(errors(&output).contains("--vary /no: the body has no string"), "{output:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn send_signs_with_a_generic_hmac() {
    use tower_inbox::signature::{Encoding, HmacBody};

    let scheme = |header| HmacBody::new(header, Secret::new(SECRET)).prefix("sha256=");
    let archive = MemoryArchive::new();
    let model = |scheme| openai::event().verified_by(scheme);
    let inbox = Inbox::builder(archive.clone())
        .model("/hex", model(scheme("x-mine")))
        .model("/base64", model(scheme("x-other").encoding(Encoding::Base64)))
        .build()
        .unwrap();
    let server = Server::of(&inbox, archive).await;
    let file = fixture("openai/response_completed.json");
    for (path, more) in [
        ("/hex", &["--header", "X-Mine", "--prefix", "sha256="][..]),
        ("/base64", &["--header", "x-other", "--prefix", "sha256=", "--encoding", "base64"]),
    ] {
        let output = server.send(path, "hmac", &file, more).await;
        assert_eq!(output.status.code(), Some(0), "{path}: {output:?}");
    }
    let output = server.send("/hex", "hmac", &file, &["--header", "x-mine"]).await;
    assert_eq!(output.status.code(), Some(1), "without the prefix: {output:?}");
    for (provider, more, wanted) in [
        ("hmac", &[][..], "requires --header"),
        ("mindee", &["--header", "x-mine"], "require --as hmac"),
    ] {
        let output = server.send("/hex", provider, &file, more).await;
        assert!(errors(&output).contains(wanted), "{output:?}");
        assert_eq!(output.status.code(), Some(2));
    }
}
