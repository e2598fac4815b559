//! Receives requests: reads the body, archives it, forwards it, and answers with the status of the app.

use std::{
    convert::Infallible,
    error::Error,
    io::{self, Write},
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header, request::Parts};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use tokio::{sync::Semaphore, time::timeout};
use tower_inbox::{
    Archive, Delivery, DeliveryId, DiskArchive, Outcome,
    archive::{Append, ArchiveError, Query},
    delivery::Redaction,
    signature::Proof,
};

use super::forward::{Answer, App, AppResponse, Received};
use crate::console;

/// The name under which all requests are archived. Their paths are in their heads.
const MODEL: &str = "/listen";

/// The timeout of a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// The maximum number of concurrent requests. Further ones wait, so that their bodies take no memory.
const CONCURRENCY: usize = 16;

/// Longer than the app may take to respond, so that no other attempt starts in the meantime.
const LEASE: Duration = Duration::from_secs(60);

/// Failed requests are due at once: nothing but `inbox replay` and `r` sends them again.
const RETRY_IN: Duration = Duration::ZERO;

/// The number of characters of an id that are printed: the time in milliseconds, and 12 more bits.
const ID_PREFIX: usize = 18;

/// Why a request was not forwarded.
#[derive(Debug)]
struct Rejected(StatusCode, String);

/// Archives requests, and forwards them to the app.
pub(super) struct Receiver {
    archive: DiskArchive,
    app: App,
    body_limit: usize,
    permits: Semaphore,
    /// The last request of this run, with the headers that are not archived.
    last: Mutex<Option<Received>>,
}

impl Receiver {
    pub(super) fn new(archive: DiskArchive, app: App, body_limit: usize) -> Self {
        let (permits, last) = (Semaphore::new(CONCURRENCY), Mutex::new(None));
        Self { archive, app, body_limit, permits, last }
    }

    /// Archives and forwards a request. Never fails: problems are responses.
    pub(super) async fn respond(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> Result<Response<Empty<Bytes>>, Infallible> {
        let path = request.uri().path().to_owned();
        Ok(match self.receive(request, peer).await {
            Ok(answer) => response(&answer),
            Err(Rejected(status, reason)) => {
                console::warn(&format!("{path}: answered {}: {reason}", status.as_u16()));
                rejection(status)
            }
        })
    }

    async fn receive(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> Result<Answer, Rejected> {
        if request.method() != Method::POST {
            let reason = format!("{} is not POST", request.method());
            return Err(Rejected(StatusCode::METHOD_NOT_ALLOWED, reason));
        }
        let _permit = self.permits.acquire().await.map_err(|error| unavailable(&error))?;
        let (mut parts, body) = request.into_parts();
        parts.extensions.insert(peer);
        let body = read(body, self.body_limit).await?;
        self.archive_and_forward(parts, body).await
    }

    async fn archive_and_forward(&self, parts: Parts, body: Bytes) -> Result<Answer, Rejected> {
        let delivery = delivery(&parts, body).map_err(|error| unavailable(&*error))?;
        let append = Append::new(delivery.clone()).leased_for(LEASE);
        let appended = self.archive.append(append).await.map_err(|error| unavailable(&error))?;
        let delivery = delivery.with_id(appended.receipt.id());
        let received = Received::new(delivery, parts.uri, parts.headers);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(received.clone());
        let (answer, took) = self.forward(&received).await;
        if let Some(lease) = appended.lease {
            let settled = self.archive.settle(lease, outcome(&answer), RETRY_IN).await;
            settled.unwrap_or_else(|error| warn(&error));
        }
        let remark = if appended.receipt.is_repeat() { "repeat" } else { "" };
        print_line(&received, &answer, took, remark);
        Ok(answer)
    }

    async fn forward(&self, received: &Received) -> (Answer, Duration) {
        let start = Instant::now();
        let answer = self.app.post(received).await;
        (answer, start.elapsed())
    }

    /// Posts the last request to the app again: that of this run, or else the last archived one.
    pub(super) async fn replay_last(&self) {
        let last = match self.last().await {
            Ok(Some(last)) => last.replayed(),
            Ok(None) => return console::note("nothing to replay: the archive is empty"),
            Err(error) => return warn(&error),
        };
        match last {
            Ok(last) => {
                let (answer, took) = self.forward(&last).await;
                print_line(&last, &answer, took, "replay");
            }
            Err(error) => warn(&*error),
        }
    }

    async fn last(&self) -> Result<Option<Received>, ArchiveError> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if last.is_some() {
            return Ok(last);
        }
        let latest = self.archive.latest(Query::all(), 1).await?;
        let Some(entry) = latest.first() else { return Ok(None) };
        let archived = self.archive.get(entry.id).await?;
        Ok(archived.map(|archived| Received::archived(archived.delivery)))
    }
}

/// Reads a body of at most `limit` bytes.
async fn read(body: Incoming, limit: usize) -> Result<Bytes, Rejected> {
    let too_long = || {
        let reason = format!("the body is longer than {limit} bytes; see --body-limit");
        Rejected(StatusCode::PAYLOAD_TOO_LARGE, reason)
    };
    // By `content-length`, before any of it is read.
    if usize::try_from(body.size_hint().lower()).map_or(true, |length| length > limit) {
        return Err(too_long());
    }
    let Ok(read) = timeout(BODY_TIMEOUT, Limited::new(body, limit).collect()).await else {
        let reason = format!("no whole body within {} s", BODY_TIMEOUT.as_secs());
        return Err(Rejected(StatusCode::REQUEST_TIMEOUT, reason));
    };
    match read {
        Ok(read) => Ok(read.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_long()),
        Err(error) => {
            let reason = format!("the body was cut off: {}", console::with_sources(&*error));
            Err(Rejected(StatusCode::BAD_REQUEST, reason))
        }
    }
}

fn delivery(parts: &Parts, body: Bytes) -> Result<Delivery, Box<dyn Error + Send + Sync>> {
    let (id, model, now) = (DeliveryId::new(), MODEL.parse()?, SystemTime::now());
    let proof = Proof::new("unsigned", "none", "raw");
    Ok(Delivery::received(id, model, parts, body, now, proof, &Redaction::default()))
}

/// The outcome to archive. No response counts as a failure, such as any status other than 2xx.
fn outcome(answer: &Answer) -> Outcome {
    match answer {
        Ok(AppResponse { status, .. }) if status.is_success() => {
            Outcome::processed(status.as_u16())
        }
        Ok(AppResponse { status, .. }) => {
            Outcome::failed(format!("the app returned {}", status.as_u16()))
        }
        Err(reason) => Outcome::failed(format!("no response from the app: {reason}")),
    }
}

fn response(answer: &Answer) -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    match answer {
        Ok(AppResponse { status, retry_after }) => {
            *response.status_mut() = *status;
            if let Some(value) = retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, value.clone());
            }
        }
        Err(_) => *response.status_mut() = StatusCode::BAD_GATEWAY,
    }
    response
}

fn rejection(status: StatusCode) -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
    }
    response
}

/// The request may not be archived, so that the sender has to send it again.
fn unavailable(error: &(dyn Error + 'static)) -> Rejected {
    Rejected(StatusCode::SERVICE_UNAVAILABLE, console::with_sources(error))
}

fn warn(error: &(dyn Error + 'static)) {
    console::warn(&console::with_sources(error));
}

fn print_line(received: &Received, answer: &Answer, took: Duration, remark: &str) {
    let line = line(received.delivery.id(), answer, took, received.path(), remark);
    let mut out = io::stdout();
    // Requests are still archived and forwarded after the reader of the output closed it.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// The line of a forwarded request. The query is left out, because it may hold a token.
fn line(id: DeliveryId, answer: &Answer, took: Duration, path: &str, remark: &str) -> String {
    let id: String = id.to_string().chars().take(ID_PREFIX).collect();
    let status = answer.as_ref().map_or(StatusCode::BAD_GATEWAY, |response| response.status);
    let (status, millis) = (status.as_u16(), took.as_millis());
    let reason = answer.as_ref().err().map(|reason| format!("no response: {reason}"));
    let remarks = [remark, reason.as_deref().unwrap_or_default()];
    let remarks: String =
        remarks.map(|one| if one.is_empty() { String::new() } else { format!("  {one}") }).concat();
    console::escape(&format!("{id}  {status}  {millis:>5} ms  {path}{remarks}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

    #[expect(clippy::unnecessary_wraps, reason = "the other answers are errors")]
    fn answered(status: u16) -> Answer {
        Ok(AppResponse { status: StatusCode::from_u16(status).unwrap(), retry_after: None })
    }

    #[test]
    fn line_has_id_prefix_status_duration_path_and_reason() {
        let line = |answer, remark| {
            line(ID.parse().unwrap(), &answer, Duration::from_millis(12), "/hooks\u{1b}", remark)
        };
        let start = "01890a5d-ac96-774b";
        assert_eq!(line(answered(202), ""), format!("{start}  202     12 ms  /hooks\\u{{1b}}"));
        assert!(line(answered(422), "replay").ends_with("  replay"));
        let refused = line(Err("refused".to_owned()), "repeat");
        assert!(refused.starts_with(&format!("{start}  502  ")), "{refused}");
        assert!(refused.ends_with("  repeat  no response: refused"), "{refused}");
    }

    #[test]
    fn outcome_is_processed_only_after_2xx() {
        assert_eq!(outcome(&answered(204)), Outcome::processed(204));
        for failed in [answered(302), answered(401), answered(500), Err("refused".to_owned())] {
            assert!(matches!(outcome(&failed), Outcome::Failed { .. }), "{failed:?}");
        }
    }
}
