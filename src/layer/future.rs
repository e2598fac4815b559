use std::{
    future::Pending,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::reply::Reply;

/// How a step ends: with the request for the service inside, or with an answer of its own.
pub(super) type Ended<N> = Result<Request<N>, Response<Bytes>>;

pin_project! {
    /// The answer of one step.
    ///
    /// `P` is what the step waits for before it calls the service `S` inside, with a request whose body is `N`. Most
    /// steps wait for nothing.
    pub struct StepFuture<S, N, P = Pending<Result<Request<N>, Response<Bytes>>>>
    where
        S: Service<Request<N>>,
    {
        #[pin]
        state: State<S, S::Future, P>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, F, P> {
        // The step is at work, and holds the service that was polled ready.
        Before { #[pin] step: P, ready_inner: Option<S> },
        // The service inside has the request.
        Calling { #[pin] calling: F },
        // The step answers by itself.
        Answered { answer: Option<Response<Bytes>> },
    }
}

impl<S, N, P> StepFuture<S, N, P>
where
    S: Service<Request<N>>,
{
    /// Waits for `step`, then calls `ready_inner`, which was polled ready.
    pub(super) fn before(step: P, ready_inner: S) -> Self {
        Self { state: State::Before { step, ready_inner: Some(ready_inner) } }
    }

    /// The service inside has the request already.
    pub(super) fn calling(calling: S::Future) -> Self {
        Self { state: State::Calling { calling } }
    }

    /// The service inside does not get the request.
    pub(super) fn answered(answer: Response<Bytes>) -> Self {
        Self { state: State::Answered { answer: Some(answer) } }
    }
}

impl<S, N, P, R> Future for StepFuture<S, N, P>
where
    S: Service<Request<N>, Response = Response<R>>,
    P: Future<Output = Ended<N>>,
{
    type Output = Result<Response<Reply<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProjection::Before { step, ready_inner } => {
                    match (ready!(step.poll(context)), ready_inner.take()) {
                        // Before ⇒ Calling
                        (Ok(request), Some(mut inner)) => {
                            State::Calling { calling: inner.call(request) }
                        }
                        // Before ⇒ Answered
                        (Err(answer), _) => State::Answered { answer: Some(answer) },
                        // Polled again after its end: as every finished future, it stays silent.
                        (Ok(_), None) => return Poll::Pending,
                    }
                }
                StateProjection::Calling { calling } => {
                    return calling.poll(context).map_ok(Reply::inner);
                }
                StateProjection::Answered { answer } => {
                    return answer
                        .take()
                        .map_or(Poll::Pending, |answer| Poll::Ready(Ok(Reply::own(answer))));
                }
            };
            state.set(next);
        }
    }
}
