use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::Response;
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::layer::reply::Reply;

pin_project! {
    /// The answer to a delivery that was accepted, or of the service inside.
    pub struct AcceptFuture<S, Q>
    where
        S: Service<Q>,
    {
        #[pin]
        state: State<S, S::Future, Q>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, F, Q> {
        Calling { #[pin] calling: F },
        // Nobody has polled the service inside ready for it.
        Readying { inner: S, request: Option<Q> },
        Answered { answer: Option<Response<Bytes>> },
        // It is found out what became of the first.
        Asking { asking: Asking },
    }
}

pub(super) type Asking = Pin<Box<dyn Future<Output = Response<Bytes>> + Send>>;

impl<S: Service<Q>, Q> AcceptFuture<S, Q> {
    pub(super) fn asking(asking: Asking) -> Self {
        Self { state: State::Asking { asking } }
    }

    pub(super) fn calling(calling: S::Future) -> Self {
        Self { state: State::Calling { calling } }
    }

    pub(super) fn readying(inner: S, request: Q) -> Self {
        Self { state: State::Readying { inner, request: Some(request) } }
    }

    pub(super) fn answered(answer: Response<Bytes>) -> Self {
        Self { state: State::Answered { answer: Some(answer) } }
    }
}

impl<S, Q, R> Future for AcceptFuture<S, Q>
where
    S: Service<Q, Response = Response<R>>,
{
    type Output = Result<Response<Reply<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let calling = match state.as_mut().project() {
                StateProjection::Calling { calling } => {
                    return calling.poll(context).map_ok(Reply::inner);
                }
                StateProjection::Readying { inner, request } => {
                    ready!(inner.poll_ready(context))?;
                    match request.take() {
                        Some(request) => inner.call(request),
                        None => return Poll::Pending,
                    }
                }
                StateProjection::Asking { asking } => {
                    return asking.as_mut().poll(context).map(|answer| Ok(Reply::own(answer)));
                }
                StateProjection::Answered { answer } => {
                    return match answer.take() {
                        Some(answer) => Poll::Ready(Ok(Reply::own(answer))),
                        None => Poll::Pending,
                    };
                }
            };
            state.set(State::Calling { calling });
        }
    }
}
