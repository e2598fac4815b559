use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, request};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::{claim::Claim, step::Handed};

pin_project! {
    /// The body of a request that was routed: unread, and either claimed by a model or not ours.
    pub struct Routed<B> {
        #[pin]
        pub(super) body: B,
        pub(super) claim: Option<Claim>,
    }
}

impl<B: Body> Body for Routed<B> {
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
    /// The body of a request inside the inbox: that of a delivery, which was read and has come as far as step `S`, or
    /// the untouched `B` of a request that is not ours.
    ///
    /// The service inside the inbox gets `InboxBody<B>`, in which a delivery's bytes can still be read.
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
        // Not for a model: it is passed through as it came.
        Through { #[pin] body: B },
        Delivery { held: Held<S> },
    }
}

/// The bytes of a delivery that were not read from the body yet, with the proof that it has come as far as step `S`.
pub struct Held<S> {
    pub(super) bytes: Bytes,
    pub(super) step: S,
}

impl<B, S> InboxBody<B, S> {
    /// The body of a request that is not ours.
    pub(super) fn through(body: B) -> Self {
        Self { kind: Kind::Through { body } }
    }

    /// Parts a delivery's request for the next step, and passes one that is not ours on.
    pub(super) fn split<N>(request: Request<Self>) -> Split<B, S, N> {
        let (parts, body) = request.into_parts();
        match body.kind {
            Kind::Delivery { held } => Split::Delivery(parts, held),
            Kind::Through { body } => {
                Split::Through(Request::from_parts(parts, InboxBody::through(body)))
            }
        }
    }
}

/// A request as a step sees it, on its way to a service whose requests have come as far as step `N`.
pub(super) enum Split<B, S, N> {
    Delivery(request::Parts, Held<S>),
    Through(Request<InboxBody<B, N>>),
}

/// Shows how many bytes there are, never which.
impl<S: fmt::Debug> fmt::Debug for Held<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("bytes", &self.bytes.len()).field("step", &self.step).finish()
    }
}

impl<N> Held<N> {
    /// The request of a delivery that has come one step further.
    pub(super) fn request<B>(
        parts: request::Parts,
        bytes: Bytes,
        step: N,
    ) -> Request<InboxBody<B, N>> {
        Request::from_parts(
            parts,
            InboxBody { kind: Kind::Delivery { held: Held { bytes, step } } },
        )
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
            KindProjection::Delivery { held } if held.bytes.is_empty() => Poll::Ready(None),
            KindProjection::Delivery { held } => {
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut held.bytes)))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Through { body } => body.is_end_stream(),
            Kind::Delivery { held } => held.bytes.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Through { body } => body.size_hint(),
            Kind::Delivery { held } => SizeHint::with_exact(held.bytes.len() as u64),
        }
    }
}
