//! Heads and bodies that are too long, too slow, or framed in unusual ways. The table in `docs/http.md` lists these
//! tests.

use std::time::Duration;

use tokio::{io::AsyncWriteExt, time::timeout};

use crate::server::{HEAD_TIMEOUT, Kind, PATH, Server, delivery, read_all};

const BODY: &str = r#"{"type": "t", "timestamp": "1", "data": {}}"#;

/// The time after which a connection counts as kept open by the server. Time is paused.
const OPEN: Duration = Duration::from_secs(10 * 60);

/// Returns everything the server sends until it closes the connection, and the time until then. The time is `None` if
/// the server keeps the connection open.
async fn exchange(kind: Kind, request: &str) -> (String, Option<Duration>) {
    let server = Server::start(kind).await;
    let mut stream = server.connect().await;
    stream.write_all(request.as_bytes()).await.unwrap();
    let began = tokio::time::Instant::now();
    match timeout(OPEN, read_all(&mut stream)).await {
        Ok(answer) => (answer, Some(began.elapsed())),
        Err(_) => (String::new(), None),
    }
}

/// Asserts that the response begins with `start` and that the server closes the connection immediately.
async fn assert_closed(what: &str, request: &str, start: &str) {
    for kind in [Kind::Axum, Kind::Hyper, Kind::HalfClose] {
        let (answer, closed) = exchange(kind, request).await;
        assert!(answer.starts_with(start), "{kind:?}, {what}: {answer}");
        assert!(closed.is_some_and(|after| after < HEAD_TIMEOUT), "{kind:?}, {what}: {closed:?}");
    }
}

/// Asserts that the response begins with `start` and that the server keeps the connection open.
async fn assert_kept_open(what: &str, request: &str, start: &str) {
    for kind in [Kind::Hyper, Kind::HalfClose] {
        let (answer, closed) = exchange(kind, request).await;
        assert!(answer.starts_with(start), "{kind:?}, {what}: {answer}");
        assert!(closed.is_some_and(|after| after >= HEAD_TIMEOUT), "{kind:?}, {what}: {closed:?}");
    }
}

fn head(headers: &str) -> String {
    format!("POST {PATH} HTTP/1.1\r\nhost: h\r\n{headers}\r\n")
}

fn short(headers: usize) -> String {
    "x: 1\r\n".repeat(headers)
}

#[tokio::test(start_paused = true)]
async fn more_than_100_headers_are_answered_431() {
    let most = head(&format!("content-length: {}\r\n{}", BODY.len(), short(98))) + BODY;
    assert_kept_open("100 headers", &most, "HTTP/1.1 200").await;
    assert_closed("101 headers", &head(&short(100)), "HTTP/1.1 431").await;
}

#[tokio::test(start_paused = true)]
async fn head_longer_than_the_read_buffer_is_answered_431_and_a_long_uri_414() {
    let long = head(&format!("x: {}\r\n", "x".repeat(500_000)));
    assert_closed("header of 500 kB", &long, "HTTP/1.1 431").await;
    let uri = format!("POST {PATH}&{} HTTP/1.1\r\n\r\n", "x".repeat(70_000));
    assert_closed("URI of 70 kB", &uri, "HTTP/1.1 414").await;
}

#[tokio::test(start_paused = true)]
async fn connection_with_an_unread_body_is_closed_after_413_and_401() {
    let announced = head("content-length: 2000000\r\n") + "xxxx";
    assert_closed("announced", &announced, "HTTP/1.1 413").await;
    let expecting = head("content-length: 2000000\r\nexpect: 100-continue\r\n");
    assert_closed("with Expect", &expecting, "HTTP/1.1 413").await;
    let unsigned = "POST /hook HTTP/1.1\r\nhost: h\r\ncontent-length: 2000\r\n\r\nxxxx";
    assert_closed("without its token", unsigned, "HTTP/1.1 401").await;
}

#[tokio::test(start_paused = true)]
async fn idle_connections_and_slow_heads_are_closed_only_with_a_header_read_timeout() {
    for (what, request) in [
        ("new connection", String::new()),
        ("slow head", "POST /hook HTTP/1.1\r\nho".to_owned()),
        ("idle after a response", delivery(1, 0)),
    ] {
        let (_, closed) = exchange(Kind::Axum, &request).await;
        assert_eq!(closed, None, "axum::serve, {what}");
        for kind in [Kind::Hyper, Kind::HalfClose] {
            let (_, closed) = exchange(kind, &request).await;
            let closed = closed.map(|after| after.as_secs());
            assert_eq!(closed, Some(HEAD_TIMEOUT.as_secs()), "{kind:?}, {what}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn expect_100_continue_is_sent_only_when_the_body_is_read() {
    let headers = format!("content-length: {}\r\nexpect: 100-continue\r\n", BODY.len());
    let answers = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200";
    assert_kept_open("with a token", &(head(&headers) + BODY), answers).await;
    let refused = format!("POST /hook HTTP/1.1\r\nhost: h\r\n{headers}\r\n");
    assert_closed("without its token", &refused, "HTTP/1.1 401").await;
}

#[tokio::test(start_paused = true)]
async fn chunked_bodies_are_read_and_broken_framing_is_answered_400() {
    let chunks = format!("{:x}\r\n{BODY}\r\n0\r\n\r\n", BODY.len());
    let chunked = head("transfer-encoding: chunked\r\n") + &chunks;
    assert_kept_open("chunked", &chunked, "HTTP/1.1 200").await;
    let both = head("content-length: 5\r\ntransfer-encoding: chunked\r\n") + &chunks;
    assert_closed("chunked, with a length", &both, "HTTP/1.1 200").await;
    let broken = head("transfer-encoding: chunked\r\n") + "zz\r\n";
    assert_closed("not a chunk", &broken, "HTTP/1.1 400").await;
    let two = head("content-length: 5\r\ncontent-length: 6\r\n") + BODY;
    assert_closed("two lengths", &two, "HTTP/1.1 400").await;
}

#[tokio::test(start_paused = true)]
async fn http_1_0_body_without_content_length_is_read_as_empty() {
    let length = BODY.len();
    let with = format!("POST {PATH} HTTP/1.0\r\ncontent-length: {length}\r\n\r\n{BODY}");
    assert_closed("with a length", &with, "HTTP/1.0 200").await;
    // The empty body is archived and undecodable: the profile of Standard Webhooks responds with 202.
    let without = format!("POST {PATH} HTTP/1.0\r\n\r\n{BODY}");
    assert_closed("without a length", &without, "HTTP/1.0 202").await;
}
