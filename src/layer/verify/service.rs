use std::{
    task::{Context, Poll},
    time::Instant,
};

use http::{Request, Response, request::Parts};
use tower_service::Service;

use super::Quarantine;
use crate::{
    delivery::Delivery,
    layer::{
        body::{Held, InboxBody, Split},
        claim::Claim,
        future::StepFuture,
        refusal::Refusal,
        reply::Reply,
        step::{Raw, Verified},
    },
    signature::Proof,
};

/// Made by [`VerifyLayer`](super::VerifyLayer).
#[derive(Clone, Debug)]
pub struct VerifyService<S> {
    inner: S,
    quarantine: Option<Quarantine>,
}

impl<S> VerifyService<S> {
    pub(super) fn new(inner: S, quarantine: Option<Quarantine>) -> Self {
        Self { inner, quarantine }
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
        match verify(&parts, held, self.quarantine.as_ref()) {
            Ok((bytes, verified)) => {
                let request = Held::request(parts, bytes, verified);
                StepFuture::calling(self.inner.call(request))
            }
            Err(refusal) => StepFuture::answered(refusal.refuse()),
        }
    }
}

fn verify(
    parts: &Parts,
    held: Held<Raw>,
    quarantine: Option<&Quarantine>,
) -> Result<(bytes::Bytes, Verified), Refusal> {
    let Held { bytes, step: raw } = held;
    let began = Instant::now();
    let verdict = raw.claim.model.scheme().verify(parts, &bytes, raw.claim.received_at);
    raw.claim.took("verify_us", began);
    match verdict {
        Ok(proof) => Ok((bytes, Verified { raw, proof })),
        Err(error) => {
            if let Some(quarantine) = quarantine {
                quarantine.keep(bytes.len(), refused(parts, bytes, &raw.claim));
            }
            Err(Refusal::Signature(error))
        }
    }
}

/// Makes a delivery that nothing proves: when it is called, since that takes time for the digest.
fn refused(
    parts: &Parts,
    bytes: bytes::Bytes,
    claim: &Claim,
) -> impl FnOnce() -> Delivery + Send + 'static {
    let (parts, claim) = (parts.clone(), claim.clone());
    move || {
        let (id, name, received_at) = (claim.id, claim.name, claim.received_at);
        let proof = Proof::new("refused", "none", "raw");
        let proof = match claim.model.scheme().claimed_message_id(&parts) {
            // Not proved, but two messages that claim two ids are both kept.
            Some(id) => proof.with_message_id(id),
            None => proof,
        };
        Delivery::received(id, name, &parts, bytes, received_at, proof, claim.model.redaction())
    }
}
