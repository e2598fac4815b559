use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, request::Parts};
use tower_service::Service;
use tracing::Instrument;

use crate::{
    delivery::Outcome,
    layer::{
        body::{Held, InboxBody, Split},
        future::{Ended, StepFuture},
        refusal::Refusal,
        reply::Reply,
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
                let span = held.step.claim().span.clone();
                let deciding = decide(parts, held).instrument(span);
                StepFuture::before(Box::pin(deciding), take_ready(&mut self.inner))
            }
        }
    }
}

/// Waits for the delivery's turn, then either lets it be handled or answers as the first was answered.
///
/// Fresh deliveries ask for the outcome, too: a repeat may have overtaken them and been handled in their place.
async fn decide<B>(parts: Parts, held: Held<Archived>) -> Ended<InboxBody<B, Deduped>> {
    let Held { bytes, step: archived } = held;
    let id = archived.delivery.id();
    let Some(turn) = archived.custody.turns().take(id).await else {
        return Err(Refusal::Crowded.refuse());
    };
    match archived.custody.archive().outcome(id).await {
        Ok(Some(Outcome::Processed { status, .. })) => Err(as_the_first(status)),
        Ok(_) => Ok(Held::request(parts, bytes, Deduped { archived, turn })),
        Err(error) => Err(Refusal::Unreadable(Arc::new(error)).refuse()),
    }
}

/// The body of the first answer is not kept; its status is what senders act on.
fn as_the_first(status: u16) -> Response<Bytes> {
    tracing::Span::current().record("outcome", "repeat");
    tracing::info!(status, "answered as the first was, without running the handler");
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    response
}
