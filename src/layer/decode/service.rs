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
        body::{Held, InboxBody, Split},
        future::StepFuture,
        metrics,
        refusal::Refusal,
        reply::Reply,
        step::{Archived, Decoded, Deduped},
    },
    provider::InferenceKey,
};

/// Made by [`DecodeLayer`](super::DecodeLayer).
#[derive(Clone, Debug)]
pub struct DecodeService<S> {
    inner: S,
}

impl<S> DecodeService<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S, B, R> Service<Request<InboxBody<B, Deduped>>> for DecodeService<S>
where
    S: Service<Request<InboxBody<B, Decoded>>, Response = Response<R>>,
{
    type Response = Response<Reply<R>>;
    type Error = S::Error;
    type Future = StepFuture<S, InboxBody<B, Decoded>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<InboxBody<B, Deduped>>) -> Self::Future {
        let (mut parts, held) = match InboxBody::split(request) {
            Split::Delivery(parts, held) => (parts, held),
            Split::Through(through) => return StepFuture::calling(self.inner.call(through)),
        };
        let Held { bytes, step: deduped } = held;
        let _entered = deduped.archived.claim.span.clone().entered();
        match load(&deduped.archived, &mut parts.extensions) {
            Ok(key) => {
                look(&deduped.archived);
                let request = Held::request(parts, bytes, Decoded { deduped, key });
                StepFuture::calling(self.inner.call(request))
            }
            Err(mistake) => StepFuture::answered(mistake.settle(deduped).refuse()),
        }
    }
}

/// Why an inference cannot be loaded: the JSON path, and a reason without a value of the body.
struct Mistake {
    path: String,
    reason: String,
}

impl Mistake {
    /// Records that the delivery cannot be loaded, and gives the refusal by the provider's profile.
    fn settle(self, deduped: Deduped) -> Refusal {
        let Deduped { archived, handling } = deduped;
        metrics::undecodable(archived.delivery.model());
        handling.settle(Outcome::undecodable(&self.reason));
        let status = archived.claim.model.status_profile().undecodable;
        Refusal::Undecodable { path: self.path, reason: self.reason, status }
    }
}

fn load(archived: &Archived, extensions: &mut Extensions) -> Result<InferenceKey, Mistake> {
    let claim = &archived.claim;
    let began = Instant::now();
    // The payload's type is the user's code: a panic in it must not leave the delivery without an outcome.
    let scope: Vec<_> = claim.captures.iter().collect();
    let loading = AssertUnwindSafe(|| claim.model.load(&archived.delivery, &scope, extensions));
    let loaded = catch_unwind(loading);
    claim.took("decode_us", began);
    match loaded {
        Ok(loaded) => loaded
            .map_err(|error| Mistake { path: error.path().to_owned(), reason: error.to_string() }),
        Err(_) => Err(Mistake { path: "$".to_owned(), reason: "loading it panicked".to_owned() }),
    }
}

/// Tells what the type does not know, each place once. The payload's type is the user's code: what it panics at here does
/// not matter to the delivery.
fn look(archived: &Archived) {
    let model = &archived.claim.model;
    let looking = AssertUnwindSafe(|| model.look(&archived.delivery));
    for path in catch_unwind(looking).unwrap_or_default() {
        metrics::unknown(archived.delivery.model());
        tracing::warn!(
            path,
            "the type of the model does not know this: nothing is lost, it is in the raw bytes"
        );
    }
}
