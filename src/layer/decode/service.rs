use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    task::{Context, Poll},
    time::Instant,
};

use http::{Extensions, Request, Response};
use tower_service::Service;

use crate::{
    delivery::Outcome,
    layer::{
        Custody,
        body::{Archived, Decoded, Held, InboxBody, Split},
        future::StepFuture,
        refusal::Refusal,
        reply::Reply,
    },
    provider::InferenceKey,
};

/// Made by [`DecodeLayer`](super::DecodeLayer).
#[derive(Clone, Debug)]
pub struct DecodeService<S> {
    inner: S,
    custody: Custody,
}

impl<S> DecodeService<S> {
    pub(super) fn new(inner: S, custody: Custody) -> Self {
        Self { inner, custody }
    }
}

impl<S, B, R> Service<Request<InboxBody<B, Archived>>> for DecodeService<S>
where
    S: Service<Request<InboxBody<B, Decoded>>, Response = Response<R>>,
{
    type Response = Response<Reply<R>>;
    type Error = S::Error;
    type Future = StepFuture<S, InboxBody<B, Decoded>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<InboxBody<B, Archived>>) -> Self::Future {
        let (mut parts, held) = match InboxBody::split(request) {
            Split::Delivery(parts, held) => (parts, held),
            Split::Through(through) => return StepFuture::calling(self.inner.call(through)),
        };
        let Held { bytes, step: archived } = held;
        let _entered = archived.raw.claim.span.clone().entered();
        match load(&archived, &mut parts.extensions) {
            Ok(key) => {
                let request = Held::request(parts, bytes, Decoded { archived, key });
                StepFuture::calling(self.inner.call(request))
            }
            Err(refusal) => {
                refusal.log();
                self.custody.settle(archived.delivery.id(), Outcome::undecodable(&refusal), None);
                StepFuture::answered(refusal.into_response())
            }
        }
    }
}

fn load(archived: &Archived, extensions: &mut Extensions) -> Result<InferenceKey, Refusal> {
    let claim = &archived.raw.claim;
    let status = claim.model.status_profile().undecodable;
    let began = Instant::now();
    // The payload's type is the user's code: a panic in it must not leave the delivery without an outcome.
    let loading = AssertUnwindSafe(|| claim.model.load(&archived.delivery, extensions));
    let loaded = catch_unwind(loading);
    claim.took("decode_us", began);
    match loaded {
        Ok(Ok(key)) => Ok(key),
        Ok(Err(error)) => Err(Refusal::Undecodable {
            path: error.path().to_owned(),
            reason: error.to_string(),
            status,
        }),
        Err(_) => Err(Refusal::Undecodable {
            path: "$".to_owned(),
            reason: "loading it panicked".to_owned(),
            status,
        }),
    }
}
