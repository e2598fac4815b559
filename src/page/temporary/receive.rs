//! Receives the requests of senders, and reads bodies within limits.

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use bytes::{Buf, BufMut, Bytes};
use http::{HeaderValue, Method, Request, Response, StatusCode, header, request::Parts};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::{sync::Semaphore, time::timeout};

use super::endpoints::Endpoints;
use crate::{layer::ResponseBody, page::guard::rejection, process::Clock};

/// The path of all endpoints, below the path of the page.
pub(super) const PREFIX: &str = "/temporary/";

/// The maximum length of a body, in bytes.
pub(super) const MOST_BODY: usize = 4 << 20;

/// The maximum time for reading a body.
pub(super) const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The maximum number of bodies that are read at the same time.
const READERS: usize = 8;

/// The methods that endpoints accept.
const ALLOWED: HeaderValue = HeaderValue::from_static("POST, PUT");

/// Returns true if the path belongs to senders, and not to the users of the page.
pub(in crate::page) fn is_endpoint_path(path: &str) -> bool {
    path.starts_with(PREFIX)
}

/// Receives the requests to the endpoints.
#[derive(Clone)]
pub(in crate::page) struct Receiver {
    endpoints: Endpoints,
    clock: Clock,
    readers: Arc<Semaphore>,
}

/// Why a body cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::page) enum ReadError {
    #[error("the body is too long; the maximum is {0} bytes")]
    TooLong(usize),
    #[error("the body did not arrive within {} s", .0.as_secs())]
    TooSlow(Duration),
    #[error("the body ended early")]
    Incomplete,
}

impl Receiver {
    pub(in crate::page) fn new(endpoints: Endpoints, clock: Clock) -> Self {
        Self { endpoints, clock, readers: Arc::new(Semaphore::new(READERS)) }
    }

    /// The response to a sender. Unknown and expired tokens, and texts that are none, have the same one.
    pub(in crate::page) async fn receive<B: Body>(
        &self,
        head: Parts,
        body: B,
    ) -> Response<ResponseBody> {
        match self.received(head, body).await {
            Ok(()) => Response::default(),
            Err(status) => {
                let mut response = rejection(status);
                if status == StatusCode::METHOD_NOT_ALLOWED {
                    response.headers_mut().insert(header::ALLOW, ALLOWED);
                }
                response
            }
        }
    }

    async fn received<B: Body>(&self, head: Parts, body: B) -> Result<(), StatusCode> {
        let token = head.uri.path().strip_prefix(PREFIX).unwrap_or_default().to_owned();
        if !self.endpoints.has_token(&token, self.clock.now()) {
            return Err(StatusCode::NOT_FOUND);
        }
        if !matches!(head.method, Method::POST | Method::PUT) {
            return Err(StatusCode::METHOD_NOT_ALLOWED);
        }
        let Ok(reader) = self.readers.try_acquire() else {
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        };
        let mut bytes = Vec::new();
        let read = read(body, &mut bytes, MOST_BODY, BODY_TIMEOUT).await;
        read.map_err(|error| error.status())?;
        // Without its unused capacity.
        let body = Bytes::from(bytes.into_boxed_slice());
        let added = self.endpoints.add(&token, plain(head), body, self.clock.now());
        drop(reader);
        added.map_err(|_| StatusCode::NOT_FOUND)
    }
}

impl ReadError {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::TooLong(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow(_) => StatusCode::REQUEST_TIMEOUT,
            Self::Incomplete => StatusCode::BAD_REQUEST,
        }
    }
}

/// Reads a body of at most `most` bytes to the end of `buffer`.
pub(super) async fn read<B: Body>(
    body: B,
    buffer: &mut Vec<u8>,
    most: usize,
    within: Duration,
) -> Result<(), ReadError> {
    if body.size_hint().lower() > most as u64 {
        return Err(ReadError::TooLong(most));
    }
    let reading = read_frames(body, buffer, most);
    timeout(within, reading).await.map_err(|_| ReadError::TooSlow(within))?
}

async fn read_frames<B: Body>(body: B, buffer: &mut Vec<u8>, most: usize) -> Result<(), ReadError> {
    let mut body = pin!(body);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| ReadError::Incomplete)?;
        let Ok(data) = frame.into_data() else { continue };
        if data.remaining() > most.saturating_sub(buffer.len()) {
            return Err(ReadError::TooLong(most));
        }
        buffer.put(data);
    }
    Ok(())
}

/// The head without the extensions of the server, which may hold resources, except for the address of the client.
fn plain(head: Parts) -> Parts {
    let peer: Option<SocketAddr> = head.extensions.get().copied();
    let (mut plain, ()) = Request::new(()).into_parts();
    plain.method = head.method;
    plain.uri = head.uri;
    plain.version = head.version;
    plain.headers = head.headers;
    if let Some(peer) = peer {
        plain.extensions.insert(peer);
    }
    plain
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::{Stream, StreamExt, stream};
    use http_body::Frame;
    use http_body_util::{Full, StreamBody};

    use super::*;

    /// A body without a length.
    fn parts(
        parts: &[&'static str],
    ) -> impl Stream<Item = Result<Frame<Bytes>, Infallible>> + use<> {
        let parts: Vec<_> = parts.iter().map(|part| Ok(Frame::data(Bytes::from(*part)))).collect();
        stream::iter(parts)
    }

    async fn read_to_end(body: impl Body, most: usize) -> (Result<(), ReadError>, Vec<u8>) {
        let mut buffer = Vec::new();
        let result = read(body, &mut buffer, most, BODY_TIMEOUT).await;
        (result, buffer)
    }

    #[tokio::test]
    async fn body_is_read_up_to_its_maximum_also_without_a_length() {
        let full = || Full::new(Bytes::from_static(b"12345"));
        assert_eq!(read_to_end(full(), 5).await, (Ok(()), b"12345".to_vec()));
        assert_eq!(read_to_end(full(), 4).await, (Err(ReadError::TooLong(4)), Vec::new()));
        let body = StreamBody::new(parts(&["12", "345"]));
        assert_eq!(read_to_end(body, 4).await, (Err(ReadError::TooLong(4)), b"12".to_vec()));
    }

    #[tokio::test(start_paused = true)]
    async fn body_that_does_not_end_is_given_up_after_the_timeout() {
        let body = StreamBody::new(parts(&["12"]).chain(stream::pending()));
        let before = tokio::time::Instant::now();
        let (result, _) = read_to_end(body, 4).await;
        assert_eq!(result, Err(ReadError::TooSlow(BODY_TIMEOUT)));
        assert_eq!(before.elapsed(), BODY_TIMEOUT);
    }
}
