use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderName, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

/// The header that tells the sender, and its logs, under which id a delivery is archived.
pub const DELIVERY_ID: HeaderName = HeaderName::from_static("inbox-delivery-id");

pin_project! {
    /// The body of an answer: that of the service inside, or the inbox's own.
    #[derive(Debug)]
    pub struct Reply<R> {
        #[pin]
        kind: Kind<R>,
    }
}

pin_project! {
    #[project = KindProjection]
    #[derive(Debug)]
    enum Kind<R> {
        Inner { #[pin] body: R },
        Own { bytes: Bytes },
    }
}

impl<R> Reply<R> {
    pub(super) fn inner(response: Response<R>) -> Response<Self> {
        response.map(|body| Self { kind: Kind::Inner { body } })
    }

    pub(super) fn own(response: Response<Bytes>) -> Response<Self> {
        response.map(|bytes| Self { kind: Kind::Own { bytes } })
    }
}

impl<R: Body<Data = Bytes>> Body for Reply<R> {
    type Data = Bytes;
    type Error = R::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, R::Error>>> {
        match self.project().kind.project() {
            KindProjection::Inner { body } => body.poll_frame(context),
            KindProjection::Own { bytes } if bytes.is_empty() => Poll::Ready(None),
            KindProjection::Own { bytes } => {
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes)))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Inner { body } => body.is_end_stream(),
            Kind::Own { bytes } => bytes.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Inner { body } => body.size_hint(),
            Kind::Own { bytes } => SizeHint::with_exact(bytes.len() as u64),
        }
    }
}

/// The answer to a repeat. The body of the first answer is not kept; its status is what senders act on.
pub(super) fn as_the_first(status: u16) -> Response<Bytes> {
    tracing::Span::current().record("outcome", "repeat");
    tracing::info!(status, "answered as the first was, without running the handler");
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    response
}

/// The delivery is archived, and will be handled.
pub(super) fn accepted(status: StatusCode) -> Response<Bytes> {
    tracing::info!(status = status.as_u16(), "accepted, to be handled in the background");
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}
