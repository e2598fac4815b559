use std::{
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use tower_service::Service;
use tracing::Instrument;

use super::{AcceptFuture, again::take_up_again, layer::Mode};
use crate::layer::{
    body::{InboxBody, Split},
    metrics,
    refusal::Refusal,
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
            Split::Delivery(_, held) if held.step.receipt.is_repeat() => {
                let span = held.step.claim.span.clone();
                AcceptFuture::asking(Box::pin(accept_repeat(held.step).instrument(span)))
            }
            Split::Delivery(_, held) => AcceptFuture::answered(accept(&held.step)),
        }
    }
}

/// Leaves the delivery to the workers.
fn accept(archived: &Archived) -> Response<Bytes> {
    let _entered = archived.claim.span.enter();
    archived.custody.take_up(&archived.delivery);
    accepted(archived.claim.model.status_profile().accepted)
}

/// Workers know of the first, unless it is settled.
async fn accept_repeat(archived: Archived) -> Response<Bytes> {
    metrics::repeated(archived.delivery.model());
    match take_up_again(&archived).await {
        Ok(()) => accepted(archived.claim.model.status_profile().accepted),
        Err(error) => Refusal::Archive(Arc::new(error)).refuse(),
    }
}
