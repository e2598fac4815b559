//! One request and its response on a connection of its own.

use std::{
    collections::VecDeque,
    error::Error,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Sleep, sleep, timeout},
};

use super::{Answer, Target, plan::Framing, target::Connection};

/// The number of parts of a slow body.
const PARTS: usize = 8;

/// Durations of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    /// The pause between the parts of a slow body, and before a hang-up.
    pub(super) pause: Duration,
    /// The maximum time from the connection to the response.
    pub(super) timeout: Duration,
}

/// Sends a request, and reads the status of the response. Redirects are not followed.
pub(super) async fn exchange(
    target: &Target,
    request: Request<Bytes>,
    framing: Framing,
    timing: Timing,
) -> Answer {
    let exchanging = async {
        let connection = match target.connect().await {
            Ok(connection) => connection,
            Err(error) => return Answer::Unreachable(error.to_string()),
        };
        match framing {
            Framing::Whole => respond(connection, request.map(PartedBody::whole)).await,
            Framing::Slow => {
                let parts = |body: Bytes| PartedBody::new(&body, PARTS, timing.pause);
                respond(connection, request.map(parts)).await
            }
            Framing::Chunked => {
                let parts = |body: Bytes| PartedBody::new(&body, PARTS, Duration::ZERO).chunked();
                respond(connection, request.map(parts)).await
            }
            Framing::Cut => {
                let half = request.body().len() / 2;
                hang_up_after(connection, &request, half, Duration::ZERO).await
            }
            Framing::HangUp => {
                let length = request.body().len();
                hang_up_after(connection, &request, length, timing.pause).await
            }
        }
    };
    timeout(timing.timeout, exchanging).await.unwrap_or(Answer::TimedOut)
}

/// Sends the whole request, and reads the status of the response.
async fn respond(connection: Box<dyn Connection>, request: Request<PartedBody>) -> Answer {
    match status(connection, request).await {
        Ok(status) => Answer::Status(status),
        Err(error) => Answer::Closed(innermost(&error)),
    }
}

async fn status(
    connection: Box<dyn Connection>,
    request: Request<PartedBody>,
) -> hyper::Result<StatusCode> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(connection)).await?;
    // The connection ends when the sender and the response are dropped. Its error is also that of the request.
    let driver = tokio::spawn(async move { drop(connection.await) });
    let response = sender.send_request(request).await;
    driver.abort();
    Ok(response?.status())
}

/// Writes the head and the beginning of the body, waits until the response begins, or for `wait`, and closes the
/// connection.
async fn hang_up_after(
    mut connection: Box<dyn Connection>,
    request: &Request<Bytes>,
    length: usize,
    wait: Duration,
) -> Answer {
    let written: io::Result<()> = async {
        connection.write_all(&head(request)).await?;
        connection.write_all(request.body().get(..length).unwrap_or_default()).await?;
        connection.flush().await?;
        // Neither a response nor its absence changes what follows.
        drop(timeout(wait, connection.read_u8()).await);
        connection.shutdown().await
    }
    .await;
    written.map_or_else(|error| Answer::Closed(error.to_string()), |()| Answer::NotAwaited)
}

/// Returns the head of an HTTP/1.1 request.
fn head(request: &Request<Bytes>) -> Vec<u8> {
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method(), request.uri()).into_bytes();
    write_headers(&mut head, request.headers());
    head.extend_from_slice(format!("content-length: {}\r\n\r\n", request.body().len()).as_bytes());
    head
}

fn write_headers(head: &mut Vec<u8>, headers: &HeaderMap) {
    for (name, value) in headers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            head.extend_from_slice(part);
        }
    }
}

/// Returns the text of the last source, which names the cause, such as `connection reset`.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let last = std::iter::successors(Some(error), |error| (*error).source()).last();
    last.map_or_else(String::new, ToString::to_string)
}

/// A body in parts, with a pause before each part but the first.
struct PartedBody {
    parts: VecDeque<Bytes>,
    pause: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
    is_chunked: bool,
}

impl PartedBody {
    fn whole(body: Bytes) -> Self {
        Self {
            parts: VecDeque::from([body]),
            pause: Duration::ZERO,
            sleep: None,
            is_chunked: false,
        }
    }

    fn new(body: &Bytes, parts: usize, pause: Duration) -> Self {
        let length = body.len().div_ceil(parts.max(1)).max(1);
        let starts = (0..body.len()).step_by(length);
        let parts = starts.map(|start| body.slice(start..body.len().min(start + length)));
        Self { parts: parts.collect(), pause, sleep: None, is_chunked: false }
    }

    /// Announces no length.
    fn chunked(self) -> Self {
        Self { is_chunked: true, ..self }
    }
}

impl Body for PartedBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Some(sleep) = &mut self.sleep {
            ready!(sleep.as_mut().poll(context));
            self.sleep = None;
        }
        let part = self.parts.pop_front();
        if !self.parts.is_empty() && !self.pause.is_zero() {
            self.sleep = Some(Box::pin(sleep(self.pause)));
        }
        Poll::Ready(part.map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.parts.iter().all(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        if self.is_chunked {
            return SizeHint::default();
        }
        SizeHint::with_exact(self.parts.iter().map(|part| part.len() as u64).sum())
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn slow_body_is_whole_and_has_pauses_between_its_parts() {
        let whole = Bytes::from((0..100).collect::<Vec<u8>>());
        let body = PartedBody::new(&whole, PARTS, Duration::from_secs(1));
        assert_eq!((body.parts.len(), body.size_hint().exact()), (8, Some(100)));
        let start = tokio::time::Instant::now();
        assert_eq!(body.collect().await.unwrap().to_bytes(), whole);
        assert_eq!(start.elapsed().as_secs(), 7);
        assert!(PartedBody::new(&Bytes::new(), PARTS, Duration::ZERO).is_end_stream());
    }

    #[test]
    fn head_announces_the_length_of_the_whole_body() {
        let request = Request::post("/a?b=c").header("x-signature", "ab").body("{}".into());
        let expected = "POST /a?b=c HTTP/1.1\r\nx-signature: ab\r\ncontent-length: 2\r\n\r\n";
        assert_eq!(head(&request.unwrap()), expected.as_bytes());
    }
}
