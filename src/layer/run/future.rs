use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use http::Response;
use pin_project_lite::pin_project;
use tokio::time::Sleep;
use tracing::Span;

use crate::layer::{
    attempt::Cause, refusal::Refusal, reply::Reply, step::Deduped, verdict::Verdict,
};

pin_project! {
    /// The answer of the handler. When it is there, or the handler has panicked or took too long, the delivery is
    /// settled.
    pub struct RunFuture<F> {
        // Nothing, if the handler panicked before it gave a future, or was dropped since it took too long.
        #[pin]
        handler: Option<F>,
        // Where nothing would take up again what hangs, there is none.
        #[pin]
        deadline: Option<Sleep>,
        running: Option<Running>,
    }
}

/// A delivery while its handler runs.
pub(super) struct Running {
    deduped: Deduped,
    began: Instant,
}

/// How a handler came to its end.
enum End<T> {
    Answer(T),
    Panic,
    TooLate,
}

impl Running {
    pub(super) fn begin(deduped: Deduped) -> Self {
        Self { deduped, began: Instant::now() }
    }

    fn span(&self) -> Span {
        self.deduped.archived.claim.span.clone()
    }

    /// How long the handler may take, where that is bounded: also while a sender waits, who is answered before, if there
    /// are workers who try it again.
    fn deadline(&self) -> Option<Duration> {
        let archived = &self.deduped.archived;
        let is_bounded =
            archived.cause != Cause::Posted || archived.custody.schedule().has_workers();
        is_bounded.then(|| archived.custody.terms().deadline)
    }

    fn end(self, verdict: Verdict) {
        let Deduped { archived, handling } = self.deduped;
        archived.claim.took("run_us", self.began);
        handling.end(verdict);
    }
}

impl<F> RunFuture<F> {
    pub(super) fn through(handler: F) -> Self {
        Self { handler: Some(handler), deadline: None, running: None }
    }

    pub(super) fn running(handler: Option<F>, running: Running) -> Self {
        let deadline = running.deadline().map(tokio::time::sleep);
        Self { handler, deadline, running: Some(running) }
    }
}

impl<F, R, E> Future for RunFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<Reply<R>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(running) = this.running else {
            // Not ours, and none of our business if it panics.
            return match this.handler.as_pin_mut() {
                Some(handler) => handler.poll(context).map_ok(Reply::inner),
                None => Poll::Pending,
            };
        };
        let _entered = running.span().entered();
        let end = match poll_caught(this.handler.as_mut(), context) {
            Poll::Ready(end) => end,
            Poll::Pending => match this.deadline.as_pin_mut().map(|sleep| sleep.poll(context)) {
                Some(Poll::Ready(())) => End::TooLate,
                _ => return Poll::Pending,
            },
        };
        // Before anybody else gets the delivery's turn.
        this.handler.set(None);
        let (verdict, answer) = judge(end);
        if let Some(running) = this.running.take() {
            running.end(verdict);
        }
        Poll::Ready(answer)
    }
}

fn poll_caught<F: Future>(
    handler: Pin<&mut Option<F>>,
    context: &mut Context<'_>,
) -> Poll<End<F::Output>> {
    let Some(handler) = handler.as_pin_mut() else {
        return Poll::Ready(End::Panic);
    };
    match catch_unwind(AssertUnwindSafe(|| handler.poll(context))) {
        Ok(polled) => polled.map(End::Answer),
        Err(_) => Poll::Ready(End::Panic),
    }
}

/// What the end of a handler makes of the delivery, and what is answered.
fn judge<R, E>(end: End<Result<Response<R>, E>>) -> (Verdict, Result<Response<Reply<R>>, E>) {
    let refused = |refusal: Refusal| (Verdict::failed(&refusal), Ok(Reply::own(refusal.refuse())));
    match end {
        End::Answer(Ok(response)) => (Verdict::of(&response), Ok(Reply::inner(response))),
        End::Answer(Err(error)) => {
            (Verdict::failed(&"the service of the handler failed"), Err(error))
        }
        End::Panic => refused(Refusal::Panicked),
        End::TooLate => refused(Refusal::HandlerTooSlow),
    }
}
