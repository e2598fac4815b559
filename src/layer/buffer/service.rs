use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::runtime::Handle;
use tower_layer::Layer;
use tower_service::Service;

use super::{Budget, read::ReadBody};
use crate::{
    layer::{
        body::{InboxBody, RoutedBody},
        future::StepFuture,
        step::Raw,
        take_ready,
        verify::rejected_by_head,
    },
    process::{BoxError, ResponseBody},
};

/// Reads the body of a routed request into memory, within its limits.
///
/// ```
/// use tower_inbox::layer::{Budget, BufferLayer};
///
/// let budget = Budget::new(512 << 20);
/// let layer = BufferLayer::new(budget.clone());
/// assert_eq!(budget.used(), 0);
/// # let _ = layer;
/// ```
#[derive(Clone, Debug, Default)]
pub struct BufferLayer {
    budget: Budget,
    reads_all: bool,
}

impl BufferLayer {
    /// Creates the layer. All its services share `budget`.
    pub fn new(budget: Budget) -> Self {
        Self { budget, reads_all: false }
    }

    /// Reads the body even if the head alone is enough to reject the request, for a quarantine that is
    /// [`reading_all`](crate::layer::Quarantine::reading_all). The request is rejected after that.
    pub fn reading_all(mut self) -> Self {
        self.reads_all = true;
        self
    }
}

impl<S> Layer<S> for BufferLayer {
    type Service = BufferService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        BufferService { inner, budget: self.budget.clone(), reads_all: self.reads_all }
    }
}

/// The service of [`BufferLayer`].
#[derive(Clone, Debug)]
pub struct BufferService<S> {
    inner: S,
    budget: Budget,
    reads_all: bool,
}

impl<S, B, R> Service<Request<RoutedBody<B>>> for BufferService<S>
where
    S: Service<Request<InboxBody<B, Raw>>, Response = Response<R>, Future: Send>
        + Clone
        + Send
        + 'static,
    S::Error: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody>;
    type Error = S::Error;
    type Future = BufferFuture<S, InboxBody<B, Raw>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<RoutedBody<B>>) -> Self::Future {
        let (parts, RoutedBody { body, context }) = request.into_parts();
        let Some(context) = context else {
            let through = Request::from_parts(parts, InboxBody::through(body));
            return BufferFuture::calling(self.inner.call(through));
        };
        if !self.reads_all
            && let Some(response) = rejected_by_head(&parts, &context)
        {
            return BufferFuture::responded(response);
        }
        match ReadBody::start(parts, body, context, &self.budget) {
            Ok(reading) => {
                BufferFuture::working(read_then_call(reading, take_ready(&mut self.inner)))
            }
            Err(response) => BufferFuture::responded(*response),
        }
    }
}

async fn read_then_call<S, B, R>(
    reading: ReadBody<B>,
    mut ready_inner: S,
) -> Result<Response<ResponseBody>, S::Error>
where
    S: Service<Request<InboxBody<B, Raw>>, Response = Response<R>>,
    B: Body<Data = Bytes>,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    match reading.read().await {
        Ok(request) => {
            ready_inner.call(request).await.map(|response| response.map(ResponseBody::new))
        }
        Err(response) => Ok(response),
    }
}

type Work<E> = Pin<Box<dyn Future<Output = Result<Response<ResponseBody>, E>> + Send>>;

pin_project! {
    /// The response to a request whose body is read. If it is dropped, a task does the rest.
    ///
    /// A server drops it as soon as the client has closed the connection. The body may be complete by then, of a sender
    /// that does not wait for the response: the task archives such a delivery. An incomplete body ends with an error in
    /// the task, which is logged.
    pub struct BufferFuture<S, N>
    where
        S: Service<Request<N>>,
        S::Error: 'static,
    {
        #[pin]
        state: State<S, N>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, N>
    where
        S: Service<Request<N>>,
        S::Error: 'static,
    {
        // The body is not read.
        Here { #[pin] step: StepFuture<S, N> },
        // The body is read, and then the inner service called.
        Working { work: Detaching<S::Error> },
    }
}

/// Work that continues in a task when this is dropped. None once it has ended.
struct Detaching<E: 'static>(Option<Work<E>>);

impl<S, N> BufferFuture<S, N>
where
    S: Service<Request<N>>,
{
    pub(super) fn calling(calling: S::Future) -> Self {
        Self { state: State::Here { step: StepFuture::calling(calling) } }
    }

    pub(super) fn responded(response: Response<ResponseBody>) -> Self {
        Self { state: State::Here { step: StepFuture::responded(response) } }
    }

    pub(super) fn working(
        work: impl Future<Output = Result<Response<ResponseBody>, S::Error>> + Send + 'static,
    ) -> Self {
        Self { state: State::Working { work: Detaching(Some(Box::pin(work))) } }
    }
}

impl<S, N, R> Future for BufferFuture<S, N>
where
    S: Service<Request<N>, Response = Response<R>>,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Output = Result<Response<ResponseBody>, S::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Here { step } => step.poll(context),
            StateProjection::Working { work } => work.poll(context),
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
