use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use http::{HeaderValue, Request, Response, request::Parts};
use tower_service::Service;
use tracing::Instrument;

use super::{
    ArchiveFuture,
    early::{Early, early},
};
use crate::{
    archive::{ArchiveError, Work},
    delivery::{Delivery, DeliveryId, Receipt},
    layer::{
        Custody,
        attempt::Cause,
        body::{Held, InboxBody, Split},
        metrics,
        refusal::Refusal,
        reply::{DELIVERY_ID, Reply, accepted},
        step::{Archived, Raw, Verified},
        take_ready,
    },
};

/// Made by [`ArchiveLayer`](super::ArchiveLayer).
#[derive(Clone, Debug)]
pub struct ArchiveService<S> {
    inner: S,
    custody: Custody,
}

impl<S> ArchiveService<S> {
    pub(super) fn new(inner: S, custody: Custody) -> Self {
        Self { inner, custody }
    }
}

impl<S, B, R> Service<Request<InboxBody<B, Verified>>> for ArchiveService<S>
where
    S: Service<Request<InboxBody<B, Archived>>, Response = Response<R>, Error: Send, Future: Send>
        + Clone
        + Send
        + 'static,
    S::Error: 'static,
    B: Send + 'static,
    R: Send + 'static,
{
    type Response = Response<Reply<R>>;
    type Error = S::Error;
    type Future = ArchiveFuture<S::Future, Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<InboxBody<B, Verified>>) -> Self::Future {
        let (parts, held) = match InboxBody::split(request) {
            Split::Delivery(parts, held) => (parts, held),
            Split::Through(through) => return ArchiveFuture::through(self.inner.call(through)),
        };
        let span = held.step.raw.claim.span.clone();
        let _entered = span.enter();
        let delivery = delivery(&parts, &held);
        // The append begins here, so that deliveries are archived in the order in which they were read.
        let appending = self.custody.archive().append(delivery.clone());
        let appending = Appending {
            delivery,
            raw: held.step.raw,
            receipt: appending,
            began: Instant::now(),
            custody: self.custody.clone(),
        };
        let (early, early_answer) = early(&self.custody);
        let work = archive_then_call(take_ready(&mut self.inner), parts, appending, early);
        let task = self.custody.spawn(work.instrument(span.clone()));
        ArchiveFuture::working(task, early_answer)
    }
}

/// A delivery that waits for its receipt.
struct Appending {
    delivery: Delivery,
    raw: Raw,
    receipt: Work<Receipt>,
    began: Instant,
    custody: Custody,
}

fn delivery(parts: &Parts, held: &Held<Verified>) -> Delivery {
    let claim = &held.step.raw.claim;
    let delivery = Delivery::received(
        claim.id,
        claim.name.clone(),
        parts,
        held.bytes.clone(),
        claim.received_at,
        held.step.proof.clone(),
        claim.model.redaction(),
    );
    claim.span.record("digest", tracing::field::display(delivery.digest()));
    delivery
}

type Answer<R, E> = Result<Response<Reply<R>>, E>;

async fn archive_then_call<S, B, R>(
    mut ready_inner: S,
    mut parts: Parts,
    appending: Appending,
    early: Option<Early<Answer<R, S::Error>>>,
) -> Answer<R, S::Error>
where
    S: Service<Request<InboxBody<B, Archived>>, Response = Response<R>>,
{
    let archived = match appending.archived().await {
        Ok(archived) => archived,
        Err(error) => {
            return Ok(Reply::own(Refusal::Archive(Arc::new(error)).refuse()));
        }
    };
    let id = archived.delivery.id();
    let status = archived.claim.model.status_profile().accepted;
    let bytes = archived.delivery.body().clone();
    parts.extensions.insert(archived.delivery.clone());
    parts.extensions.insert(archived.receipt);
    let calling = ready_inner.call(Held::request(parts, bytes, archived));
    let answer = match early {
        None => calling.await,
        Some(early) => early.or_of(calling, || Ok(with_id(Reply::own(accepted(status)), id))).await,
    };
    Ok(with_id(Reply::inner(answer?), id))
}

fn with_id<R>(mut response: Response<R>, id: DeliveryId) -> Response<R> {
    if let Ok(id) = HeaderValue::try_from(id.to_string()) {
        response.headers_mut().insert(DELIVERY_ID, id);
    }
    response
}

impl Appending {
    /// Waits for the receipt. A repeat goes on under the id of the first.
    async fn archived(self) -> Result<Archived, ArchiveError> {
        let receipt = self.receipt.await?;
        self.raw.claim.took("archive_us", self.began);
        if receipt.is_repeat() {
            let first = tracing::field::display(receipt.id());
            self.raw.claim.span.record("repeat_of", first);
        } else {
            let (model, bytes) = (self.delivery.model(), self.delivery.body().len());
            metrics::archived(model, bytes, self.began.elapsed());
        }
        let delivery = self.delivery.with_id(receipt.id());
        let Raw { claim, reservation } = self.raw;
        let left = receipt.is_repeat() && self.custody.may_have_crashed(receipt.id());
        let (custody, cause, turn) = (self.custody, Cause::Posted, None);
        let reservation = Some(reservation);
        Ok(Archived { claim, reservation, delivery, receipt, custody, cause, left, turn })
    }
}
