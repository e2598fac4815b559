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
    provider::{InferenceKey, Profile},
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
            Err(mistake) => {
                let outcome = Outcome::undecodable(&mistake.reason);
                self.custody.settle(archived.delivery.id(), outcome, None);
                let refusal = mistake.into_refusal(archived.raw.claim.model.status_profile());
                refusal.log();
                StepFuture::answered(refusal.into_response())
            }
        }
    }
}

/// Why an inference cannot be loaded: the JSON path, and a reason without a value of the body.
struct Mistake {
    path: String,
    reason: String,
}

impl Mistake {
    fn into_refusal(self, profile: Profile) -> Refusal {
        Refusal::Undecodable { path: self.path, reason: self.reason, status: profile.undecodable }
    }
}

fn load(archived: &Archived, extensions: &mut Extensions) -> Result<InferenceKey, Mistake> {
    let claim = &archived.raw.claim;
    let began = Instant::now();
    // The payload's type is the user's code: a panic in it must not leave the delivery without an outcome.
    let loading = AssertUnwindSafe(|| claim.model.load(&archived.delivery, extensions));
    let loaded = catch_unwind(loading);
    claim.took("decode_us", began);
    match loaded {
        Ok(loaded) => loaded
            .map_err(|error| Mistake { path: error.path().to_owned(), reason: error.to_string() }),
        Err(_) => Err(Mistake { path: "$".to_owned(), reason: "loading it panicked".to_owned() }),
    }
}
