use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Response;
use pin_project_lite::pin_project;
use tokio::{
    sync::oneshot,
    task::{JoinError, JoinHandle},
};

use crate::layer::{refusal::Refusal, reply::Reply};

pin_project! {
    /// The answer to a delivery. Dropping it does not stop the work on the delivery.
    pub struct ArchiveFuture<F, O> {
        #[pin]
        state: State<F, O>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F, O> {
        // Not ours: the service inside has the request.
        Through { #[pin] future: F },
        // A task of its own archives the delivery and calls the service inside. It may answer before its end.
        Working { #[pin] task: JoinHandle<O>, early: Option<oneshot::Receiver<O>> },
    }
}

impl<F, O> ArchiveFuture<F, O> {
    pub(super) fn through(future: F) -> Self {
        Self { state: State::Through { future } }
    }

    pub(super) fn working(task: JoinHandle<O>, early: Option<oneshot::Receiver<O>>) -> Self {
        Self { state: State::Working { task, early } }
    }
}

impl<F, R, E> Future for ArchiveFuture<F, Result<Response<Reply<R>>, E>>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<Reply<R>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Through { future } => future.poll(context).map_ok(Reply::inner),
            StateProjection::Working { task, early } => {
                if let Some(waiting) = early
                    && let Poll::Ready(answered) = Pin::new(waiting).poll(context)
                {
                    *early = None;
                    if let Ok(answer) = answered {
                        return Poll::Ready(answer);
                    }
                }
                Poll::Ready(ready!(task.poll(context)).unwrap_or_else(|error| Ok(broken(&error))))
            }
        }
    }
}

/// The task did not come to an end: something inside panicked, or the runtime is shutting down.
fn broken<R>(error: &JoinError) -> Response<Reply<R>> {
    let refusal = if error.is_panic() { Refusal::Panicked } else { Refusal::Stopping };
    Reply::own(refusal.refuse())
}
