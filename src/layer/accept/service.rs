use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use tower_service::Service;

use super::{AcceptFuture, layer::Mode};
use crate::layer::{
    body::{InboxBody, Split},
    metrics,
    reply::{Reply, accepted},
    step::Archived,
};

/// Made by [`AcceptLayer`](super::AcceptLayer).
#[derive(Clone, Debug)]
pub struct AcceptService<S> {
    inner: S,
    mode: Mode,
}

impl<S> AcceptService<S> {
    pub(super) fn new(inner: S, mode: Mode) -> Self {
        Self { inner, mode }
    }
}

impl<S, B, R> Service<Request<InboxBody<B, Archived>>> for AcceptService<S>
where
    S: Service<Request<InboxBody<B, Archived>>, Response = Response<R>> + Clone,
{
    type Response = Response<Reply<R>>;
    type Error = S::Error;
    type Future = AcceptFuture<S, Request<InboxBody<B, Archived>>>;

    /// In the background mode always: deliveries are accepted also while every handler is busy.
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        match self.mode {
            Mode::Inline => self.inner.poll_ready(context),
            Mode::Background => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, request: Request<InboxBody<B, Archived>>) -> Self::Future {
        if self.mode == Mode::Inline {
            return AcceptFuture::calling(self.inner.call(request));
        }
        match InboxBody::split(request) {
            Split::Through(through) => AcceptFuture::readying(self.inner.clone(), through),
            Split::Delivery(_, held) => AcceptFuture::answered(accept(&held.step)),
        }
    }
}

/// Leaves the delivery to the workers. They know of a repeat already.
fn accept(archived: &Archived) -> Response<Bytes> {
    let _entered = archived.claim.span.enter();
    if archived.receipt.is_repeat() {
        metrics::repeated(archived.delivery.model());
    } else {
        archived.custody.take_up(&archived.delivery);
    }
    accepted(archived.claim.model.status_profile().accepted)
}
