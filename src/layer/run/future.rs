use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};

use http::Response;
use pin_project_lite::pin_project;

use tracing::Span;

use super::verdict::outcome_of;
use crate::{
    delivery::Outcome,
    layer::{refusal::Refusal, reply::Reply, step::Deduped},
};

pin_project! {
    /// The answer of the handler. When it is there, or the handler has panicked, the delivery is settled.
    pub struct RunFuture<F> {
        // Nothing, if the handler panicked before it gave a future.
        #[pin]
        handler: Option<F>,
        running: Option<Running>,
    }
}

/// A delivery while its handler runs. Dropped before the end, as when the runtime shuts down, it stays pending.
pub(super) struct Running {
    deduped: Deduped,
    began: Instant,
}

impl Running {
    pub(super) fn begin(deduped: Deduped) -> Self {
        Self { deduped, began: Instant::now() }
    }

    fn span(&self) -> Span {
        self.deduped.archived.claim().span.clone()
    }

    fn end(self, outcome: Outcome) {
        let Deduped { archived, turn } = self.deduped;
        archived.claim().took("run_us", self.began);
        archived.custody.settle(archived.delivery.id(), outcome, turn);
    }
}

impl<F> RunFuture<F> {
    pub(super) fn through(handler: F) -> Self {
        Self { handler: Some(handler), running: None }
    }

    pub(super) fn running(handler: Option<F>, running: Running) -> Self {
        Self { handler, running: Some(running) }
    }
}

impl<F, R, E> Future for RunFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<Reply<R>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(running) = this.running else {
            // Not ours, and none of our business if it panics.
            return match this.handler.as_pin_mut() {
                Some(handler) => handler.poll(context).map_ok(Reply::inner),
                None => Poll::Pending,
            };
        };
        let _entered = running.span().entered();
        let (outcome, answer) = judge(ready!(poll_caught(this.handler, context)));
        if let Some(running) = this.running.take() {
            running.end(outcome);
        }
        Poll::Ready(answer)
    }
}

/// The end of the handler, or nothing if it panicked.
fn poll_caught<F: Future>(
    handler: Pin<&mut Option<F>>,
    context: &mut Context<'_>,
) -> Poll<Option<F::Output>> {
    let Some(handler) = handler.as_pin_mut() else {
        return Poll::Ready(None);
    };
    match catch_unwind(AssertUnwindSafe(|| handler.poll(context))) {
        Ok(polled) => polled.map(Some),
        Err(_) => Poll::Ready(None),
    }
}

/// What the end of a handler makes of the delivery, and what is answered.
fn judge<R, E>(end: Option<Result<Response<R>, E>>) -> (Outcome, Result<Response<Reply<R>>, E>) {
    match end {
        Some(Ok(response)) => (outcome_of(response.status()), Ok(Reply::inner(response))),
        Some(Err(error)) => (Outcome::failed("the service of the handler failed"), Err(error)),
        None => {
            let outcome = Outcome::failed(Refusal::Panicked);
            (outcome, Ok(Reply::own(Refusal::Panicked.refuse())))
        }
    }
}
