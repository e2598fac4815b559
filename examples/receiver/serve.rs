//! The HTTP/1 server. `axum::serve` is enough for most senders; this one also receives from senders that close the
//! connection before the response, and closes idle connections. See `docs/http.md`.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use axum::{Router, extract::ConnectInfo};
use http::{Request, request::Parts};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
};
use tower::ServiceExt;

/// How long the head of a request may take, and how long a connection may be idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long to wait after a connection could not be accepted, for example because too many files are open.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Serves until `stop` ends, and then waits for the requests that have begun, also for one with half of a head: limit
/// the time of that.
pub(crate) async fn serve(listener: TcpListener, app: Router, stop: impl Future<Output = ()>) {
    let connections = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, peer)) => serve_one(socket, peer, app.clone(), &connections),
                Err(error) => accept_again(&error).await,
            },
            () = &mut stop => break,
        }
    }
    drop(listener);
    connections.shutdown().await;
}

/// Waits for SIGTERM or ctrl-c.
pub(crate) async fn stop_signal() -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => interrupted,
    }
}

/// The address of the client, for [`tower_inbox::InboxBuilder::peer_address`].
pub(crate) fn peer_address(head: &Parts) -> Option<IpAddr> {
    let peer: &ConnectInfo<SocketAddr> = head.extensions.get()?;
    Some(peer.0.ip())
}

fn serve_one(socket: TcpStream, peer: SocketAddr, app: Router, connections: &GracefulShutdown) {
    let app = app.map_request(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        request
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        // A sender that has closed its side may have sent a whole request: read and answer it.
        .half_close(true)
        .serve_connection(TokioIo::new(socket), TowerToHyperService::new(app));
    let connection = connections.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection ended with an error");
        }
    });
}

async fn accept_again(error: &io::Error) {
    tracing::warn!(%error, "cannot accept a connection");
    tokio::time::sleep(ACCEPT_AGAIN).await;
}
