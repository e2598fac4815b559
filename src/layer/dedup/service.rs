use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, request::Parts};
use tower_service::Service;
use tracing::Instrument;

use crate::{
    archive::ArchiveError,
    delivery::Outcome,
    layer::{
        Custody,
        body::{Decoded, Deduped, Held, InboxBody, Split},
        future::{Ended, StepFuture},
        refusal::Refusal,
        reply::Reply,
        take_ready,
    },
};

/// Made by [`DedupLayer`](super::DedupLayer).
#[derive(Clone, Debug)]
pub struct DedupService<S> {
    inner: S,
    custody: Custody,
}

impl<S> DedupService<S> {
    pub(super) fn new(inner: S, custody: Custody) -> Self {
        Self { inner, custody }
    }
}

type Deciding<N> = Pin<Box<dyn Future<Output = Ended<N>> + Send>>;

impl<S, B, R> Service<Request<InboxBody<B, Decoded>>> for DedupService<S>
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

    fn call(&mut self, request: Request<InboxBody<B, Decoded>>) -> Self::Future {
        match InboxBody::split(request) {
            Split::Through(through) => StepFuture::calling(self.inner.call(through)),
            Split::Delivery(parts, held) => {
                let span = held.step.archived.raw.claim.span.clone();
                let deciding = decide(self.custody.clone(), parts, held).instrument(span);
                StepFuture::before(Box::pin(deciding), take_ready(&mut self.inner))
            }
        }
    }
}

/// Waits for the delivery's turn, then either lets it run or answers as the first was answered.
///
/// Fresh deliveries ask for the outcome, too: a repeat may have overtaken them and run in their place.
async fn decide<B>(
    custody: Custody,
    parts: Parts,
    held: Held<Decoded>,
) -> Ended<InboxBody<B, Deduped>> {
    let id = held.step.archived.delivery.id();
    let turn = custody.turns().take(id).await;
    match custody.archive().outcome(id).await {
        Ok(Some(Outcome::Processed { status })) => Err(as_the_first(status)),
        Ok(_) => {
            let deduped = Deduped { decoded: held.step, turn };
            Ok(Held::request(parts, held.bytes, deduped))
        }
        Err(error) => Err(unknown(error)),
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

fn unknown(error: ArchiveError) -> Response<Bytes> {
    let refusal = Refusal::Archive(std::sync::Arc::new(error));
    refusal.log();
    refusal.into_response()
}
