//! The servers, each with an inbox on an in-memory archive.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use axum::{Router, body::Body, http::StatusCode, routing::post};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
};
use tower::{Layer, service_fn};
use tower_inbox::{
    Inbox, MemoryArchive, Secret, archive::Query, layer::InboxBody, provider::standard,
};

pub(crate) const PATH: &str = "/hook?token=correct%20horse";

/// The HTTP server and its options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `axum::serve`
    Axum,
    /// hyper's HTTP/1 server
    Hyper,
    /// hyper's HTTP/1 server with `half_close(true)`
    HalfClose,
}

/// The maximum time to receive a request head on hyper's servers. axum uses hyper's default.
pub(crate) const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) struct Server {
    inbox: Inbox,
    address: SocketAddr,
}

impl Server {
    pub(crate) async fn start(kind: Kind) -> Self {
        let model = standard::event::<serde_json::Value>()
            .token_in_query("token", Secret::new("correct horse"))
            .body_limit(1 << 20);
        let inbox = Inbox::builder(MemoryArchive::new()).model("/hook", model).build().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        match kind {
            Kind::Axum => serve_axum(listener, &inbox),
            Kind::Hyper => serve_hyper(listener, &inbox, false),
            Kind::HalfClose => serve_hyper(listener, &inbox, true),
        }
        Self { inbox, address }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Waits until `expected` deliveries are archived, for at most 2 s. Returns the number of archived deliveries.
    pub(crate) async fn archived_in_the_end(&self, expected: usize) -> usize {
        let mut archived = 0;
        for _ in 0..200 {
            archived = self.archived().await;
            if archived == expected {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        archived
    }

    async fn archived(&self) -> usize {
        let mut entries = self.inbox.archive().scan(Query::all());
        let mut archived = 0;
        while entries.next().await.is_some() {
            archived += 1;
        }
        archived
    }
}

/// Reads until the server closes the connection.
pub(crate) async fn read_all(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset after the response is not an error here.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// Returns a complete request with `padding` spaces.
pub(crate) fn delivery(n: usize, padding: usize) -> String {
    let padding = " ".repeat(padding);
    let body = format!(r#"{{"type": "t", "timestamp": "{n}", "data": {{}}}}{padding}"#);
    let length = body.len();
    format!(
        "POST {PATH} HTTP/1.1\r\nhost: h\r\nwebhook-id: {n}\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

fn serve_axum(listener: TcpListener, inbox: &Inbox) {
    let routes: Router = Router::new().route("/hook", post(|_: Body| async { StatusCode::OK }));
    let app = routes.layer(inbox.layer());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
}

fn serve_hyper(listener: TcpListener, inbox: &Inbox, half_close: bool) {
    let handler = service_fn(async |_: Request<InboxBody<Incoming>>| {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let service = inbox.layer().layer(handler);
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let serving = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .half_close(half_close)
                .serve_connection(TokioIo::new(socket), TowerToHyperService::new(service.clone()));
            tokio::spawn(serving);
        }
    });
}
