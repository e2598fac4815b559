use std::{
    task::{Context, Poll},
    time::Instant,
};

use http::{Request, Response, request::Parts};
use tower_service::Service;

use crate::layer::{
    body::{Held, InboxBody, Split},
    future::StepFuture,
    refusal::Refusal,
    reply::Reply,
    step::{Raw, Verified},
};

/// Made by [`VerifyLayer`](super::VerifyLayer).
#[derive(Clone, Debug)]
pub struct VerifyService<S> {
    inner: S,
}

impl<S> VerifyService<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S, B, R> Service<Request<InboxBody<B, Raw>>> for VerifyService<S>
where
    S: Service<Request<InboxBody<B, Verified>>, Response = Response<R>>,
{
    type Response = Response<Reply<R>>;
    type Error = S::Error;
    type Future = StepFuture<S, InboxBody<B, Verified>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<InboxBody<B, Raw>>) -> Self::Future {
        let (parts, held) = match InboxBody::split(request) {
            Split::Delivery(parts, held) => (parts, held),
            Split::Through(through) => return StepFuture::calling(self.inner.call(through)),
        };
        let _entered = held.step.claim.span.clone().entered();
        match verify(&parts, held) {
            Ok((bytes, verified)) => {
                let request = Held::request(parts, bytes, verified);
                StepFuture::calling(self.inner.call(request))
            }
            Err(refusal) => StepFuture::answered(refusal.refuse()),
        }
    }
}

fn verify(parts: &Parts, held: Held<Raw>) -> Result<(bytes::Bytes, Verified), Refusal> {
    let Held { bytes, step: raw } = held;
    let began = Instant::now();
    let verdict = raw.claim.model.scheme().verify(parts, &bytes, raw.claim.received_at);
    raw.claim.took("verify_us", began);
    let proof = verdict.map_err(Refusal::Signature)?;
    Ok((bytes, Verified { raw, proof }))
}
