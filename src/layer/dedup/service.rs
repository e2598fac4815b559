use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, request::Parts};
use tower_service::Service;
use tracing::Instrument;

use super::{
    plan::{Handle, Plan, plan},
    turns::Thing,
};
use crate::{
    archive::ArchiveError,
    delivery::{DeliveryId, Outcome},
    layer::{
        Attempt,
        attempt::Cause,
        body::{Held, InboxBody, Split},
        future::{Ended, StepFuture},
        handling::{Handling, Open},
        metrics,
        refusal::Refusal,
        reply::{Reply, as_the_first},
        step::{Archived, Deduped},
        take_ready,
    },
};

/// Made by [`DedupLayer`](super::DedupLayer).
#[derive(Clone, Debug)]
pub struct DedupService<S> {
    inner: S,
}

impl<S> DedupService<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner }
    }
}

type Deciding<N> = Pin<Box<dyn Future<Output = Ended<N>> + Send>>;

impl<S, B, R> Service<Request<InboxBody<B, Archived>>> for DedupService<S>
where
    S: Service<Request<InboxBody<B, Deduped>>, Response = Response<R>> + Clone,
    B: 'static,
{
    type Response = Response<Reply<R>>;
    type Error = S::Error;
    type Future = StepFuture<S, InboxBody<B, Deduped>, Deciding<InboxBody<B, Deduped>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<InboxBody<B, Archived>>) -> Self::Future {
        match InboxBody::split(request) {
            Split::Through(through) => StepFuture::calling(self.inner.call(through)),
            Split::Delivery(parts, held) => {
                let span = held.step.claim.span.clone();
                let deciding = decide(parts, held).instrument(span);
                StepFuture::before(Box::pin(deciding), take_ready(&mut self.inner))
            }
        }
    }
}

/// Waits for the delivery's turn, then either lets it be handled or answers as the first was answered.
///
/// Fresh deliveries ask for the outcome, too: a repeat may have overtaken them and been handled in their place.
async fn decide<B>(mut parts: Parts, held: Held<Archived>) -> Ended<InboxBody<B, Deduped>> {
    let Held { bytes, step: archived } = held;
    let (custody, id) = (archived.custody.clone(), archived.delivery.id());
    let turn = custody.turns().take_for(archived.cause, Thing::Delivery(id)).await;
    let turn = turn.map_err(Refusal::refuse)?;
    let outcome = custody.archive().outcome(id).await.map_err(unreadable)?;
    let handling = |attempt, crashes| {
        Handling::new(Open {
            custody: custody.clone(),
            id,
            model: archived.delivery.model().clone(),
            received_at: archived.delivery.received_at(),
            attempt,
            crashes,
            cause: archived.cause,
            stays_settled: archived.cause == Cause::Replayed && is_settled(outcome.as_ref()),
            turns: vec![turn],
            inference: None,
            wants: None,
        })
    };
    match plan(outcome.as_ref(), archived.cause, archived.left) {
        Plan::Handle(Handle { attempt, crashes, mark }) => {
            let handling = handling(attempt, crashes);
            archived.claim.span.record("attempt", attempt);
            parts.extensions.insert(Attempt::new(attempt, archived.cause));
            if mark {
                handling.mark().await;
            }
            Ok(Held::request(parts, bytes, Deduped { archived, handling }))
        }
        Plan::PutAside { crashes } => {
            let outcome = Outcome::put_aside(format_args!(
                "the process ended {crashes} times in a row while it was handled"
            ));
            handling(0, crashes).settle(outcome);
            Err(Refusal::PutAside.refuse())
        }
        Plan::StayAside => Err(Refusal::PutAside.refuse()),
        Plan::AnswerAsTheFirst { status } => {
            custody.schedule().forget(id);
            metrics::repeated(archived.delivery.model());
            Err(as_the_first(status))
        }
        Plan::AnswerAs(first) => {
            custody.schedule().forget(id);
            metrics::repeated(archived.delivery.model());
            Err(as_the_first(status_of(&archived, first).await.map_err(unreadable)?))
        }
        Plan::Leave => {
            custody.schedule().forget(id);
            Err(left())
        }
    }
}

fn is_settled(outcome: Option<&Outcome>) -> bool {
    outcome.is_some_and(Outcome::is_settled)
}

/// What the delivery was answered in which the same inference was.
async fn status_of(archived: &Archived, first: DeliveryId) -> Result<u16, ArchiveError> {
    let accepted = archived.claim.model.status_profile().accepted;
    Ok(match archived.custody.archive().outcome(first).await? {
        Some(Outcome::Processed { status, .. }) => status,
        _ => accepted.as_u16(),
    })
}

fn unreadable(error: ArchiveError) -> Response<Bytes> {
    Refusal::Unreadable(Arc::new(error)).refuse()
}

/// Only a worker gets this answer.
fn left() -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}
