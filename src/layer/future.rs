use std::{
    future::Pending,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::process::{BoxError, ResponseBody};

/// The end of a step: the request for the inner service, or a response.
pub(super) type StepResult<N> = Result<Request<N>, Response<ResponseBody>>;

pin_project! {
    /// The response future of one step.
    ///
    /// `P` is what the step waits for before it calls the inner service `S`, with a request whose body is `N`. Most
    /// steps wait for nothing.
    pub struct StepFuture<S, N, P = Pending<Result<Request<N>, Response<ResponseBody>>>>
    where
        S: Service<Request<N>>,
    {
        #[pin]
        state: State<S, N, S::Future, P>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, N, F, P> {
        // The step holds the service that was polled ready.
        Before { #[pin] step: P, ready_inner: Option<S> },
        // The inner service is not ready yet.
        Readying { inner: S, request: Option<Request<N>> },
        // The inner service has the request.
        Calling { #[pin] calling: F },
        // The step responds itself.
        Responded { response: Option<Response<ResponseBody>> },
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

    /// Calls `inner` as soon as it is ready.
    pub(super) fn readying(inner: S, request: Request<N>) -> Self {
        Self { state: State::Readying { inner, request: Some(request) } }
    }

    /// The inner service has the request already.
    pub(super) fn calling(calling: S::Future) -> Self {
        Self { state: State::Calling { calling } }
    }

    /// The inner service does not get the request.
    pub(super) fn responded(response: Response<ResponseBody>) -> Self {
        Self { state: State::Responded { response: Some(response) } }
    }
}

impl<S, N, P, R> Future for StepFuture<S, N, P>
where
    S: Service<Request<N>, Response = Response<R>>,
    P: Future<Output = StepResult<N>>,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Output = Result<Response<ResponseBody>, S::Error>;

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
                        // Before ⇒ Responded
                        (Err(response), _) => State::Responded { response: Some(response) },
                        // Polled again after its end.
                        (Ok(_), None) => return Poll::Pending,
                    }
                }
                StateProjection::Readying { inner, request } => {
                    ready!(inner.poll_ready(context))?;
                    match request.take() {
                        // Readying ⇒ Calling
                        Some(request) => State::Calling { calling: inner.call(request) },
                        // Polled again after its end.
                        None => return Poll::Pending,
                    }
                }
                StateProjection::Calling { calling } => {
                    return calling
                        .poll(context)
                        .map_ok(|response| response.map(ResponseBody::new));
                }
                StateProjection::Responded { response } => {
                    return response
                        .take()
                        .map_or(Poll::Pending, |response| Poll::Ready(Ok(response)));
                }
            };
            state.set(next);
        }
    }
}
