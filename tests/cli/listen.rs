//! `inbox listen`, with an app on loopback.

use std::{net::SocketAddr, path::Path, process::Stdio};

use bytes::Bytes;
use http::{Request, Response, StatusCode, request::Parts};
use http_body_util::{BodyExt, Empty};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    net::{TcpListener, TcpStream},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::{mpsc, oneshot},
};
use tower_inbox::{
    Archive, DiskArchive,
    archive::{Archived, Query},
    delivery::StateKind,
};

use super::{errors, inbox};

/// Not UTF-8, and with line breaks of both kinds.
const BODY: &[u8] = b"{\"a\":\r\n 1.50}\n\x00\xff";

/// An app that responds when the test says so.
struct App {
    address: SocketAddr,
    requests: mpsc::UnboundedReceiver<AppRequest>,
}

struct AppRequest {
    head: Parts,
    body: Bytes,
    status: oneshot::Sender<u16>,
}

impl App {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let sender = sender.clone();
                let service = service_fn(move |request| answer(request, sender.clone()));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { address, requests }
    }

    async fn request(&mut self) -> AppRequest {
        self.requests.recv().await.unwrap()
    }
}

async fn answer(
    request: Request<Incoming>,
    requests: mpsc::UnboundedSender<AppRequest>,
) -> hyper::Result<Response<Empty<Bytes>>> {
    let (head, body) = request.into_parts();
    let (body, (status, chosen)) = (body.collect().await?.to_bytes(), oneshot::channel());
    drop(requests.send(AppRequest { head, body, status }));
    let response = Response::builder().status(chosen.await.unwrap());
    Ok(response.header("retry-after", "7").header("x-debug", "secret").body(Empty::new()).unwrap())
}

/// A running command, which ends with the test.
pub(crate) struct Listen {
    child: Child,
    address: String,
    stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Listen {
    async fn start(archive: &Path, forward: &str, more: &[&str]) -> Self {
        let command = std::process::Command::new(env!("CARGO_BIN_EXE_inbox"));
        Self::start_command(command, archive, forward, more).await
    }

    /// Starts a command with an environment.
    pub(crate) async fn start_command(
        command: std::process::Command,
        archive: &Path,
        forward: &str,
        more: &[&str],
    ) -> Self {
        let mut child = Command::from(command)
            .args(["listen", "--listen", "127.0.0.1:0", "--forward", forward])
            .args(more)
            .env("INBOX_ARCHIVE", archive)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next_line().await.unwrap().unwrap();
        let address = first.strip_prefix("listening on http://").unwrap().to_owned();
        Self { stdin: child.stdin.take(), child, address, lines }
    }

    async fn line(&mut self) -> String {
        self.lines.next_line().await.unwrap().unwrap()
    }

    async fn write(&mut self, text: &str) {
        self.stdin.as_mut().unwrap().write_all(text.as_bytes()).await.unwrap();
    }

    /// Sends a request. Its response is read by [`response`].
    async fn send(&self, head: &str, body: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        let head =
            format!("{head}\r\nhost: tunnel.example\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body).await.unwrap();
        stream
    }

    pub(crate) async fn post(&self, path: &str, body: &[u8]) -> TcpStream {
        self.send(&format!("POST {path} HTTP/1.1\r\nconnection: close"), body).await
    }
}

pub(crate) async fn response(mut stream: TcpStream) -> String {
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    response
}

/// Lets the app respond with this status. Returns its request, and the response that the sender gets.
async fn exchange(stream: TcpStream, app: &mut App, status: u16) -> (AppRequest, String) {
    let mut request = app.request().await;
    let chosen = std::mem::replace(&mut request.status, oneshot::channel().0);
    chosen.send(status).unwrap();
    (request, response(stream).await)
}

async fn archived(archive: &Path) -> Vec<Archived> {
    let archive = DiskArchive::read_only(archive).await.unwrap();
    let (mut found, mut all) = (archive.scan(Query::all()), Vec::new());
    while let Some(one) = found.next().await {
        all.push(one.unwrap());
    }
    all
}

#[tokio::test]
async fn app_gets_exact_bytes_and_signature_header_without_hop_by_hop_headers() {
    let (dir, mut app) = (tempfile::tempdir().unwrap(), App::start().await);
    let forward = format!("http://{}/hooks/invoices", app.address);
    let mut listen = Listen::start(dir.path(), &forward, &[]).await;
    let head = "POST /from/tunnel?token=a%2Fb+c HTTP/1.1\r\nX-Signature: sha256=0aF\r\n\
        authorization: Bearer hunter2\r\nx-forwarded-for: 192.0.2.7\r\nconnection: close, x-hop\r\n\
        x-hop: 1\r\nkeep-alive: timeout=5\r\nproxy-authorization: Basic aHVudGVyMg==\r\nte: trailers";
    let (request, response) = exchange(listen.send(head, BODY).await, &mut app, 422).await;
    assert_eq!(request.body, BODY);
    assert_eq!(request.head.uri, "/hooks/invoices?token=a%2Fb+c");
    let headers = &request.head.headers;
    assert_eq!(headers["x-signature"], "sha256=0aF");
    assert_eq!(headers["authorization"], "Bearer hunter2");
    assert_eq!(headers["x-forwarded-for"], "192.0.2.7");
    assert_eq!(headers["host"], app.address.to_string());
    for name in ["connection", "x-hop", "keep-alive", "proxy-authorization", "te", "inbox-replay"] {
        assert!(!headers.contains_key(name), "{name}: {headers:?}");
    }
    assert!(response.starts_with("HTTP/1.1 422 "), "{response}");
    assert!(response.contains("retry-after: 7") && !response.contains("x-debug"), "{response}");

    let archived = archived(dir.path()).await;
    let delivery = &archived[0].delivery;
    assert_eq!(delivery.body(), BODY);
    assert_eq!(delivery.head().uri(), "/from/tunnel?token=a%2Fb+c");
    assert_eq!(delivery.head().headers()["x-signature"], "sha256=0aF");
    assert_eq!(delivery.head().headers()["authorization"], "REDACTED");
    assert_eq!(delivery.head().host(), Some("tunnel.example"));
    assert!(delivery.head().peer().is_some());
    let line = listen.line().await;
    assert!(line.starts_with(&format!("{}  422  ", &delivery.id().to_string()[..18])), "{line}");
    assert!(line.ends_with(" ms  /from/tunnel"), "{line}");
}

#[tokio::test]
async fn request_is_archived_before_it_is_forwarded_and_its_outcome_after() {
    let (dir, mut app) = (tempfile::tempdir().unwrap(), App::start().await);
    let mut listen = Listen::start(dir.path(), &format!("http://{}", app.address), &[]).await;
    let stream = listen.post("/own/path", BODY).await;
    let request = app.request().await;
    assert_eq!(request.head.uri, "/own/path");
    assert_eq!(archived(dir.path()).await[0].delivery.body(), BODY);
    request.status.send(200).unwrap();
    assert!(response(stream).await.starts_with("HTTP/1.1 200 "));
    listen.line().await;
    assert_eq!(archived(dir.path()).await[0].state.kind(), StateKind::Processed);
}

#[tokio::test]
async fn request_is_archived_and_answered_502_if_the_app_is_not_reachable() {
    let dir = tempfile::tempdir().unwrap();
    // Bound and not listening, so that connections are refused.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let forward = format!("http://{}/hooks", socket.local_addr().unwrap());
    let mut listen = Listen::start(dir.path(), &forward, &[]).await;
    let response = response(listen.post("/", BODY).await).await;
    assert!(response.starts_with("HTTP/1.1 502 "), "{response}");
    let line = listen.line().await;
    assert!(line.contains("  502  ") && line.contains("no response: "), "{line}");
    let archived = archived(dir.path()).await;
    assert_eq!(archived[0].delivery.body(), BODY);
    let reason = archived[0].state.outcome().unwrap().reason().unwrap().to_owned();
    assert!(reason.starts_with("no response from the app"), "{reason}");
}

#[tokio::test]
async fn r_replays_the_last_request_and_closed_stdin_does_not_stop_the_command() {
    let (dir, mut app) = (tempfile::tempdir().unwrap(), App::start().await);
    let mut listen = Listen::start(dir.path(), &format!("http://{}", app.address), &[]).await;
    exchange(listen.post("/first", b"first").await, &mut app, 200).await;
    let head = "POST /last HTTP/1.1\r\nconnection: close\r\nauthorization: Bearer hunter2";
    exchange(listen.send(head, BODY).await, &mut app, 500).await;
    listen.line().await;
    listen.line().await;

    listen.write("r\n").await;
    let replayed = app.request().await;
    assert_eq!((replayed.head.uri.path(), &replayed.body[..]), ("/last", BODY));
    // Still in memory. It is not archived.
    assert_eq!(replayed.head.headers["authorization"], "Bearer hunter2");
    let last = archived(dir.path()).await.pop().unwrap();
    assert_eq!(replayed.head.headers["inbox-replay"], last.delivery.id().to_string());
    replayed.status.send(202).unwrap();
    let line = listen.line().await;
    assert!(line.contains("  202  ") && line.ends_with("/last  replay"), "{line}");

    drop(listen.stdin.take());
    let (request, _) = exchange(listen.post("/after", b"after").await, &mut app, 200).await;
    assert_eq!(request.body, "after");
    assert_eq!(archived(dir.path()).await.len(), 3, "a replay is not archived");
}

#[tokio::test]
async fn replay_last_replays_the_last_request_of_an_earlier_run() {
    let (dir, mut app) = (tempfile::tempdir().unwrap(), App::start().await);
    let forward = format!("http://{}/hooks", app.address);
    let listen = Listen::start(dir.path(), &forward, &[]).await;
    let head = "POST /?n=1 HTTP/1.1\r\nconnection: close\r\nx-signature: ab\r\nx-api-key: hunter22";
    exchange(listen.post("/?n=0", b"first").await, &mut app, 200).await;
    exchange(listen.send(head, BODY).await, &mut app, 200).await;
    stop(listen).await;

    let mut listen = Listen::start(dir.path(), &forward, &["--replay-last"]).await;
    let replayed = app.request().await;
    assert_eq!((replayed.head.uri.to_string(), &replayed.body[..]), ("/hooks?n=1".into(), BODY));
    assert_eq!(replayed.head.headers["x-signature"], "ab");
    assert_eq!(replayed.head.headers["x-api-key"], "REDACTED");
    replayed.status.send(204).unwrap();
    assert!(listen.line().await.ends_with("replay"));
}

/// Ends the command, so that its archive can be opened again.
async fn stop(mut listen: Listen) {
    listen.child.kill().await.unwrap();
}

#[tokio::test]
async fn body_over_the_limit_and_other_methods_are_rejected_and_not_archived() {
    let (dir, mut app) = (tempfile::tempdir().unwrap(), App::start().await);
    let forward = format!("http://{}", app.address);
    let listen = Listen::start(dir.path(), &forward, &["--body-limit", "100000"]).await;
    let large = vec![b'x'; 100_000];
    let (request, _) = exchange(listen.post("/", &large).await, &mut app, 200).await;
    assert_eq!(request.body, large);
    let announced =
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100001\r\nconnection: close\r\n\r\n";
    // 0x186a1 is 100001.
    let chunked = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n186a1\r\n";
    let chunked = chunked.to_owned() + &"x".repeat(100_001);
    for (head, status) in [
        (announced, StatusCode::PAYLOAD_TOO_LARGE),
        (&chunked, StatusCode::PAYLOAD_TOO_LARGE),
        ("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", StatusCode::METHOD_NOT_ALLOWED),
    ] {
        let mut stream = TcpStream::connect(&listen.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let response = response(stream).await;
        assert!(response.starts_with(&format!("HTTP/1.1 {} ", status.as_u16())), "{response}");
    }
    assert_eq!(archived(dir.path()).await.len(), 1);
    assert!(app.requests.try_recv().is_err());
}

#[tokio::test]
async fn request_of_a_sender_that_hangs_up_is_settled() {
    let (dir, mut app) = (tempfile::tempdir().unwrap(), App::start().await);
    let mut listen = Listen::start(dir.path(), &format!("http://{}", app.address), &[]).await;
    let stream = listen.post("/", BODY).await;
    let request = app.request().await;
    stream.set_zero_linger().unwrap();
    drop(stream);
    // By now the command has read the reset of the first connection.
    let (next, _) = exchange(listen.post("/next", b"next").await, &mut app, 200).await;
    assert_eq!(next.body, "next");
    request.status.send(200).unwrap();
    listen.line().await;
    listen.line().await;
    let states = archived(dir.path()).await.into_iter().map(|one| one.state.kind());
    assert_eq!(states.collect::<Vec<_>>(), [StateKind::Processed, StateKind::Processed]);
}

#[test]
fn invalid_arguments_of_listen_are_errors_without_the_query() {
    for (arguments, wanted) in [
        (&["listen"][..], "--forward <URL>"),
        (&["listen", "--forward", "http://a/?token=hunter2"], "the URL has a query"),
        (&["listen", "--forward", "ftp://a"], "must begin with http://"),
        (&["listen", "--forward", "http://a", "--listen", "8080"], "--listen"),
    ] {
        let output = inbox(Path::new("/nowhere"), arguments);
        let errors = errors(&output);
        assert!(errors.contains(wanted), "{wanted}: {errors}");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}
