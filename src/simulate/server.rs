//! What the simulated APIs share: connections, bodies of requests, JSON responses, and the number of running jobs.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body::Body;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{net::TcpListener, sync::watch, task::JoinSet, time::sleep};
use tower_service::Service;

use crate::layer::BoxError;

/// The delay after a connection could not be accepted, such as without a free file descriptor.
const ACCEPT_DELAY: Duration = Duration::from_millis(100);

/// Serves HTTP/1 on this listener. Never returns; drop the future to stop.
pub(super) async fn serve<S>(listener: TcpListener, service: S)
where
    S: Service<Request<Incoming>, Response = Response<Full<Bytes>>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            sleep(ACCEPT_DELAY).await;
            continue;
        };
        let service = TowerToHyperService::new(service.clone());
        connections.spawn(async move {
            // The error of one connection concerns its client only.
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

/// Reads a body of at most `limit` bytes. The error is a sentence for the client.
pub(super) async fn read_whole<B>(body: B, limit: usize) -> Result<Bytes, &'static str>
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    let collected = Limited::new(body, limit).collect().await.map_err(|error| {
        let is_long = error.is::<LengthLimitError>();
        if is_long { "The body is too long." } else { "The body was cut." }
    })?;
    Ok(collected.to_bytes())
}

pub(super) fn json(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let kind = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// The number of jobs that are processed or delivered.
#[derive(Clone, Debug, Default)]
pub(super) struct Jobs(watch::Sender<usize>);

impl Jobs {
    /// Counts a job until the value is dropped.
    pub(super) fn start(&self) -> RunningJob {
        self.0.send_modify(|running| *running += 1);
        RunningJob(self.clone())
    }

    /// Waits until no job is running.
    pub(super) async fn idle(&self) {
        let mut running = self.0.subscribe();
        // The sender is in `self`, so that the channel is open.
        let _ = running.wait_for(|running| *running == 0).await;
    }
}

/// A job that is running.
#[derive(Debug)]
pub(super) struct RunningJob(Jobs);

impl Drop for RunningJob {
    fn drop(&mut self) {
        self.0.0.send_modify(|running| *running -= 1);
    }
}
