use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, request};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::step::Handed;
use crate::process::RequestContext;

pin_project! {
    /// The body of a request that was routed: unread, and either for a model or not for the inbox.
    pub struct RoutedBody<B> {
        #[pin]
        pub(super) body: B,
        pub(super) context: Option<RequestContext>,
    }
}

impl<B: Body> Body for RoutedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        self.project().body.poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

pin_project! {
    /// The body of a request inside the inbox: the buffered body of a delivery that has come as far as step `S`, or the
    /// untouched `B` of any other request.
    ///
    /// The handler gets `InboxBody<B>`, from which the bytes of a delivery can still be read.
    #[derive(Debug)]
    pub struct InboxBody<B, S = Handed> {
        #[pin]
        kind: Kind<B, S>,
    }
}

pin_project! {
    #[project = KindProjection]
    #[derive(Debug)]
    enum Kind<B, S> {
        // Not for the inbox.
        Through { #[pin] body: B },
        Delivery { buffered: BufferedBody<S> },
    }
}

/// The bytes of a delivery that were not read from the body yet, with the proof that it has come as far as step `S`.
pub struct BufferedBody<S> {
    pub(super) bytes: Bytes,
    pub(super) step: S,
}

impl<B, S> InboxBody<B, S> {
    /// The body of a request that is not for the inbox.
    pub(super) fn through(body: B) -> Self {
        Self { kind: Kind::Through { body } }
    }

    /// The body of a delivery.
    pub(crate) fn buffered(bytes: Bytes, step: S) -> Self {
        Self { kind: Kind::Delivery { buffered: BufferedBody { bytes, step } } }
    }

    /// Splits the request of a delivery for the next step. Any other request is passed on.
    pub(super) fn split<N>(request: Request<Self>) -> Split<B, S, N> {
        let (parts, body) = request.into_parts();
        match body.kind {
            Kind::Delivery { buffered } => Split::Delivery(parts, buffered),
            Kind::Through { body } => {
                Split::Through(Request::from_parts(parts, InboxBody::through(body)))
            }
        }
    }
}

impl<B> InboxBody<B> {
    /// The body that the handler of a delivery gets.
    pub(crate) fn handed(bytes: Bytes) -> Self {
        Self::buffered(bytes, Handed)
    }
}

/// A request as a step sees it, on its way to a service whose requests have come as far as step `N`.
pub(super) enum Split<B, S, N> {
    Delivery(request::Parts, BufferedBody<S>),
    Through(Request<InboxBody<B, N>>),
}

/// Shows the number of bytes, never the bytes.
impl<S: fmt::Debug> fmt::Debug for BufferedBody<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferedBody")
            .field("bytes", &self.bytes.len())
            .field("step", &self.step)
            .finish()
    }
}

impl<B: Body<Data = Bytes>, S> Body for InboxBody<B, S> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().kind.project() {
            KindProjection::Through { body } => body.poll_frame(context),
            KindProjection::Delivery { buffered } if buffered.bytes.is_empty() => Poll::Ready(None),
            KindProjection::Delivery { buffered } => {
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut buffered.bytes)))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Through { body } => body.is_end_stream(),
            Kind::Delivery { buffered } => buffered.bytes.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Through { body } => body.size_hint(),
            Kind::Delivery { buffered } => SizeHint::with_exact(buffered.bytes.len() as u64),
        }
    }
}
