use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::runtime::Handle;

use crate::process::{BoxError, ResponseBody};

type Work<E> = Pin<Box<dyn Future<Output = Result<Response<ResponseBody>, E>> + Send>>;

pin_project! {
    /// The response to a request whose body is read. If it is dropped, a task does the rest.
    ///
    /// A server drops it as soon as the client has closed the connection. The body may be complete by then, of a sender
    /// that does not wait for the response: the task archives such a delivery. An incomplete body ends with an error in
    /// the task, which is logged.
    pub struct BufferFuture<F, E>
    where
        E: 'static,
    {
        #[pin]
        state: State<F, E>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F, E>
    where
        E: 'static,
    {
        // Not for the inbox: the inner service has the request.
        Through { #[pin] future: F },
        // The body is read, and then the inner service called.
        Working { work: Detaching<E> },
        // The body is not read.
        Responded { response: Option<Response<ResponseBody>> },
    }
}

/// Work that a task goes on with when this is dropped. `None` once it has ended.
struct Detaching<E: 'static>(Option<Work<E>>);

impl<F, E> BufferFuture<F, E> {
    pub(super) fn through(future: F) -> Self {
        Self { state: State::Through { future } }
    }

    pub(super) fn working(
        work: impl Future<Output = Result<Response<ResponseBody>, E>> + Send + 'static,
    ) -> Self {
        Self { state: State::Working { work: Detaching(Some(Box::pin(work))) } }
    }

    pub(super) fn responded(response: Response<ResponseBody>) -> Self {
        Self { state: State::Responded { response: Some(response) } }
    }
}

impl<F, R, E> Future for BufferFuture<F, E>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Output = Result<Response<ResponseBody>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Through { future } => {
                future.poll(context).map_ok(|response| response.map(ResponseBody::new))
            }
            StateProjection::Working { work } => work.poll(context),
            StateProjection::Responded { response } => {
                response.take().map_or(Poll::Pending, |response| Poll::Ready(Ok(response)))
            }
        }
    }
}

impl<E> Detaching<E> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Response<ResponseBody>, E>> {
        // `None` if it is polled again after its end.
        let Some(work) = &mut self.0 else { return Poll::Pending };
        let output = ready!(work.as_mut().poll(context));
        self.0 = None;
        Poll::Ready(output)
    }
}

impl<E> Drop for Detaching<E> {
    fn drop(&mut self) {
        // Without a runtime the server is ending, too.
        if let (Some(work), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(async move { drop(work.await) });
        }
    }
}
