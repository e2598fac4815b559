use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, request::Parts};
use http_body::Body;
use tower_service::Service;

use super::{Budget, read::ReadBody};
use crate::layer::{
    body::{InboxBody, Routed},
    claim::Claim,
    future::StepFuture,
    refusal::Refusal,
    reply::Reply,
    step::Raw,
    take_ready,
};

/// Made by [`BufferLayer`](super::BufferLayer).
#[derive(Clone, Debug)]
pub struct BufferService<S> {
    inner: S,
    budget: Budget,
    reads_all: bool,
}

impl<S> BufferService<S> {
    pub(super) fn new(inner: S, budget: Budget, reads_all: bool) -> Self {
        Self { inner, budget, reads_all }
    }
}

impl<S, B, R> Service<Request<Routed<B>>> for BufferService<S>
where
    S: Service<Request<InboxBody<B, Raw>>, Response = Response<R>> + Clone,
    B: Body<Data = Bytes>,
{
    type Response = Response<Reply<R>>;
    type Error = S::Error;
    type Future = StepFuture<S, InboxBody<B, Raw>, ReadBody<B>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Routed<B>>) -> Self::Future {
        let (parts, Routed { body, claim }) = request.into_parts();
        let Some(claim) = claim else {
            let through = Request::from_parts(parts, InboxBody::through(body));
            return StepFuture::calling(self.inner.call(through));
        };
        let span = claim.span.clone();
        let allowed = if self.reads_all { Ok(()) } else { allowed(&parts, &claim) };
        match allowed.and_then(|()| ReadBody::begin(parts, body, claim, &self.budget)) {
            Ok(reading) => StepFuture::before(reading, take_ready(&mut self.inner)),
            Err(refusal) => StepFuture::answered(span.in_scope(|| refusal.refuse())),
        }
    }
}

/// Refuses before reading what no body can prove.
fn allowed(parts: &Parts, claim: &Claim) -> Result<(), Refusal> {
    let scheme = claim.model.scheme();
    scheme.check_head(parts, claim.received_at).map_err(Refusal::Signature)
}
