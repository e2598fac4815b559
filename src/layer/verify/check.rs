use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use http::{Response, request::Parts};
use tokio::sync::Semaphore;

use super::Quarantine;
use crate::{
    delivery::Delivery,
    layer::{
        body::BufferedBody,
        step::{Raw, Verified},
    },
    process::{Rejection, RequestContext, ResponseBody},
    signature::{Proof, SignatureError, doctor::examine_head},
    supervise::catch,
};

/// The response to a delivery that is rejected.
pub(super) type Rejected = Box<Response<ResponseBody>>;

/// The response to a request that cannot be verified whatever its body is, if there is one. Called before the body is
/// read.
pub(in crate::layer) fn rejected_by_head(
    parts: &Parts,
    context: &RequestContext,
) -> Option<Response<ResponseBody>> {
    let check = || context.model.scheme().check_head(parts, context.received_at);
    context.span.in_scope(|| run(check).err().map(|rejection| reject(rejection, parts, context)))
}

/// Verifies a delivery on this thread. A delivery that is rejected is offered to the quarantine.
pub(super) fn verify(
    parts: &Parts,
    buffered: BufferedBody<Raw>,
    quarantine: Option<&Quarantine>,
) -> Result<(Bytes, Verified), Rejected> {
    let BufferedBody { bytes, step: raw } = buffered;
    let started = Instant::now();
    let verify = || raw.context.model.scheme().verify(parts, &bytes, raw.context.received_at);
    let verified = run(verify);
    raw.context.record_duration("verify_us", started);
    match verified {
        Ok(proof) => Ok((bytes, Verified::new(raw, proof))),
        Err(rejection) => {
            if let Some(quarantine) = quarantine {
                quarantine.keep(bytes.len(), rejected(parts, bytes, &raw.context));
            }
            Err(Box::new(reject(rejection, parts, &raw.context)))
        }
    }
}

/// Verifies a delivery on a thread for blocking work, so that a long body does not hold up the other requests of this
/// thread. Waits for one of `permits`, which limit how many threads do so at the same time.
pub(super) async fn verify_off_thread(
    parts: Parts,
    buffered: BufferedBody<Raw>,
    quarantine: Option<Quarantine>,
    permits: Arc<Semaphore>,
) -> Result<(Parts, Bytes, Verified), Rejected> {
    let permit = permits.acquire_owned().await.map_err(|_| stopping())?;
    let work = move || {
        let _permit = permit;
        let span = buffered.step.context.span.clone();
        let verified = span.in_scope(|| verify(&parts, buffered, quarantine.as_ref()));
        verified.map(|(bytes, verified)| (parts, bytes, verified))
    };
    // A panic of the scheme does not get here: what fails is a runtime that shuts down.
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(stopping()))
}

fn stopping() -> Rejected {
    Box::new(Rejection::Stopping.reject())
}

/// Logs the rejection with what the head shows of its reason.
fn reject(rejection: Rejection, parts: &Parts, context: &RequestContext) -> Response<ResponseBody> {
    let finding = match &rejection {
        Rejection::Signature(error) => examine_head(error, parts),
        _ => None,
    };
    context.reject_with(rejection, finding.as_ref())
}

/// Runs a check of a scheme, whose panic becomes a rejection.
fn run<T>(check: impl FnOnce() -> Result<T, SignatureError>) -> Result<T, Rejection> {
    match catch(check) {
        Ok(checked) => checked.map_err(Rejection::Signature),
        Err(panic) => {
            tracing::error!(%panic, "a signature scheme panicked");
            Err(Rejection::Panicked)
        }
    }
}

/// Creates a delivery without a proof when it is called, because the digest takes time.
fn rejected(
    parts: &Parts,
    bytes: Bytes,
    context: &RequestContext,
) -> impl FnOnce() -> Delivery + Send + 'static {
    let (parts, context) = (parts.clone(), context.clone());
    move || {
        let proof = Proof::new("refused", "none", "raw");
        // Not proved, but two messages that claim two ids are both kept.
        let proof = match context.model.scheme().claimed_message_id(&parts) {
            Some(id) => proof.with_message_id(id),
            None => proof,
        };
        let RequestContext { id, name, model, received_at, .. } = context;
        Delivery::received(id, name, &parts, bytes, received_at, proof, model.redaction())
    }
}
