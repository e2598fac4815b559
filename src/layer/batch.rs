use std::{
    collections::HashMap,
    fmt,
    future::poll_fn,
    marker::PhantomData,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::Body;
use tokio::sync::oneshot;
use tower_layer::Layer;
use tower_service::Service;
use tracing::Instrument;

use super::future::{StepFuture, StepResult};
use crate::{
    delivery::ModelName,
    process::{Attempt, BoxError, Disposition, Failure, ResponseBody, stated_reason},
    provider::Inference,
    supervise::{catch_async, report},
};

/// Calls the handler once for several deliveries of a model, with a [`Batch<T>`] in the request extensions. Put it around
/// the route of the model, inside [`Inbox::layer`](crate::Inbox::layer).
///
/// The first delivery waits for others: at most `within`, or until there are `max`. The handler then gets the request of
/// the first one, with the batch. The other deliveries get its status, [`Disposition`], [`Failure`] and `Retry-After`,
/// or their own [status](EachStatus). All bodies are empty.
///
/// Each delivery keeps its own lease, attempts, timeout and retries; the time that it waits is part of its handler
/// timeout. So a batch has no more deliveries than are processed at the same time: with
/// [workers](crate::Workers::new), have at least `max` of them. After a crash of the process, workers run the deliveries
/// of its batch one at a time.
///
/// Requests without an `Inference<T>` pass through.
///
/// # Cancel safety
///
/// A delivery that is stopped while it waits is not in the batch. The handler is stopped when all deliveries of its batch
/// are, such as by a shutdown. If only some are stopped, their outcome is dropped.
///
/// # Panics
///
/// Calling the service panics outside of a tokio runtime.
///
/// ```
/// use std::time::Duration;
/// use axum::{Router, http::StatusCode, routing::post};
/// use tower_inbox::{
///     Inbox, MemoryArchive, Secret, Workers, layer::{Batch, BatchLayer}, provider::foxyai::{self, ImageGroup},
/// };
///
/// async fn on_groups(groups: Batch<ImageGroup>) -> StatusCode {
///     // One statement for all of them.
///     let images: usize = groups.iter().map(|group| group.images.len()).sum();
///     println!("{} groups with {images} images", groups.len());
///     StatusCode::NO_CONTENT
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let model = foxyai::image_group().token_in_query("ticket", Secret::new("correct horse"));
/// let inbox = Inbox::builder(MemoryArchive::new())
///     .model("/hooks/group", model)
///     .background(Workers::new(32))
///     .build()?;
/// let batches = BatchLayer::<ImageGroup>::new(32, Duration::from_millis(200));
/// let routes = Router::new().route("/hooks/group", post(on_groups).layer(batches));
/// inbox.start_workers::<axum::body::Body>(routes.clone())?;
/// let app: Router = routes.layer(inbox.layer());
/// # let _ = app;
/// # Ok(())
/// # }
/// ```
pub struct BatchLayer<T> {
    limits: Limits,
    payload: PhantomData<fn() -> T>,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    max: usize,
    within: Duration,
}

impl<T> BatchLayer<T> {
    /// Creates a layer with at most `max` deliveries in a batch, which is complete at most `within` after its first one.
    /// A `max` of 0 is treated as 1.
    pub fn new(max: usize, within: Duration) -> Self {
        Self { limits: Limits { max: max.max(1), within }, payload: PhantomData }
    }
}

impl<T> Clone for BatchLayer<T> {
    fn clone(&self) -> Self {
        Self { limits: self.limits, payload: PhantomData }
    }
}

impl<T> fmt::Debug for BatchLayer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BatchLayer").field(&self.limits).finish()
    }
}

impl<S, T> Layer<S> for BatchLayer<T> {
    type Service = BatchService<S, T>;

    fn layer(&self, inner: S) -> Self::Service {
        BatchService { inner, limits: self.limits, open: Arc::default() }
    }
}

/// Several inferences of a model, in the order in which they came. An extractor with feature `axum`. Clones share them.
///
/// Create one with [`new`](Self::new) to test a handler.
pub struct Batch<T>(Arc<[(Inference<T>, Option<Attempt>)]>);

impl<T> Batch<T> {
    /// Creates a batch whose deliveries have no [`Attempt`].
    pub fn new(inferences: impl IntoIterator<Item = Inference<T>>) -> Self {
        Self(inferences.into_iter().map(|inference| (inference, None)).collect())
    }

    /// The inferences.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Inference<T>> {
        self.0.iter().map(|(inference, _)| inference)
    }

    /// The inferences, each with its attempt. The attempt is `None` if the batch was made by [`new`](Self::new).
    pub fn attempts(&self) -> impl ExactSizeIterator<Item = (&Inference<T>, Option<Attempt>)> {
        self.0.iter().map(|(inference, attempt)| (inference, *attempt))
    }

    /// The number of inferences.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no inference. A handler gets at least one.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T> Clone for Batch<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Batch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// The status for each delivery of a batch, in the order of [`Batch::iter`]. Put it into the extensions of the response.
/// A status has the meaning that it has for a single delivery: see [`Disposition`]. A delivery without one is retried.
///
/// With feature `axum` it is a response.
///
/// ```
/// use http::StatusCode;
/// use tower_inbox::layer::{Batch, EachStatus};
///
/// async fn on_numbers(batch: Batch<u32>) -> EachStatus {
///     batch.iter().map(|number| if **number > 0 { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY }).collect()
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EachStatus(Arc<[StatusCode]>);

impl FromIterator<StatusCode> for EachStatus {
    fn from_iter<I: IntoIterator<Item = StatusCode>>(statuses: I) -> Self {
        Self(statuses.into_iter().collect())
    }
}

/// The service of a [`BatchLayer`]. It is always ready: a batch waits until the inner service is.
pub struct BatchService<S, T> {
    inner: S,
    limits: Limits,
    open: Arc<OpenBatches<T>>,
}

impl<S: Clone, T> Clone for BatchService<S, T> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), limits: self.limits, open: Arc::clone(&self.open) }
    }
}

impl<S: fmt::Debug, T> fmt::Debug for BatchService<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchService")
            .field("inner", &self.inner)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl<S, T, B, R> Service<Request<B>> for BatchService<S, T>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    T: Send + Sync + 'static,
    B: Send + 'static,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody>;
    type Error = S::Error;
    type Future = StepFuture<S, B, InBatch<B>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Some(inference) = request.extensions().get::<Inference<T>>().cloned() else {
            return StepFuture::readying(self.inner.clone(), request);
        };
        let (reply, receiver) = oneshot::channel();
        let member = Member { attempt: request.extensions().get().copied(), inference, reply };
        let model = member.inference.delivery().model().clone();
        if let Some(completed) = self.open.join(&model, member, self.limits.max) {
            let (service, within) = (self.inner.clone(), self.limits.within);
            let open = Arc::clone(&self.open);
            let batch = async move {
                let members = open.complete(&model, completed, within).await;
                call_handler(service, request, members).await;
            };
            tokio::spawn(batch.instrument(tracing::Span::current()));
        }
        StepFuture::before(InBatch { receiver, body: PhantomData }, self.inner.clone())
    }
}

/// Deliveries of a model that wait for others. The first one calls the handler.
struct Open<T> {
    members: Vec<Member<T>>,
    /// Gets the members when there are as many as there may be.
    complete: oneshot::Sender<Vec<Member<T>>>,
}

struct Member<T> {
    inference: Inference<T>,
    attempt: Option<Attempt>,
    reply: oneshot::Sender<Reply>,
}

/// At most one open batch of each model.
struct OpenBatches<T>(Mutex<HashMap<ModelName, Open<T>>>);

impl<T> Default for OpenBatches<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> OpenBatches<T> {
    fn lock(&self) -> MutexGuard<'_, HashMap<ModelName, Open<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a delivery to the open batch of its model. Returns the end of the batch if the delivery is its first.
    fn join(
        &self,
        model: &ModelName,
        member: Member<T>,
        max: usize,
    ) -> Option<oneshot::Receiver<Vec<Member<T>>>> {
        let (mut batches, mut end) = (self.lock(), None);
        let open = batches.entry(model.clone()).or_insert_with(|| {
            let (complete, completed) = oneshot::channel();
            end = Some(completed);
            Open { members: Vec::new(), complete }
        });
        open.members.push(member);
        if open.members.len() >= max
            && let Some(Open { members, complete }) = batches.remove(model)
        {
            // The receiver is gone if its runtime has ended. The members are stopped then.
            drop(complete.send(members));
        }
        end
    }

    /// Waits until the batch is full, or for `within`. Returns its deliveries, without those that were stopped.
    async fn complete(
        &self,
        model: &ModelName,
        mut completed: oneshot::Receiver<Vec<Member<T>>>,
        within: Duration,
    ) -> Vec<Member<T>> {
        let mut members = match tokio::time::timeout(within, &mut completed).await {
            Ok(members) => members.unwrap_or_default(),
            Err(_) => self.take(model, completed),
        };
        members.retain(|member| !member.reply.is_closed());
        members
    }

    /// Ends a batch that is not full, unless it is full meanwhile, and another one is open.
    fn take(
        &self,
        model: &ModelName,
        mut completed: oneshot::Receiver<Vec<Member<T>>>,
    ) -> Vec<Member<T>> {
        let mut batches = self.lock();
        completed
            .try_recv()
            .unwrap_or_else(|_| batches.remove(model).map(|open| open.members).unwrap_or_default())
    }
}

/// Calls the handler with the request of the first delivery, and sends each delivery its reply.
async fn call_handler<S, T, B, R>(service: S, mut request: Request<B>, members: Vec<Member<T>>)
where
    S: Service<Request<B>, Response = Response<R>>,
    T: Send + Sync + 'static,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    if members.is_empty() {
        return;
    }
    let (items, mut replies): (Vec<_>, Vec<_>) = members
        .into_iter()
        .map(|member| ((member.inference, member.attempt), member.reply))
        .unzip();
    request.extensions_mut().insert(Batch(items.into()));
    let Some(result) = unless_stopped(catch_async(respond(service, request)), &mut replies).await
    else {
        return;
    };
    let answer = result.unwrap_or_else(|panic| {
        report("batch", &panic);
        Answer::failed(format!("the handler of the batch {panic}"))
    });
    for (place, reply) in replies.into_iter().enumerate() {
        // A delivery that was stopped meanwhile has no use for it.
        let _ = reply.send(answer.of(place));
    }
}

async fn respond<S, B, R>(mut service: S, request: Request<B>) -> Answer
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    let ready = poll_fn(|context| service.poll_ready(context)).await;
    let result = match ready {
        Ok(()) => service.call(request).await,
        Err(error) => Err(error),
    };
    match result {
        Ok(response) => Answer::from_response(response).await,
        Err(_) => Answer::failed("the service of the batch failed"),
    }
}

/// The output of the handler, or `None` if all deliveries are stopped before.
async fn unless_stopped<F: Future>(
    handler: F,
    replies: &mut [oneshot::Sender<Reply>],
) -> Option<F::Output> {
    let mut handler = pin!(handler);
    let mut stopped = pin!(async {
        for reply in replies {
            reply.closed().await;
        }
    });
    poll_fn(|context| match handler.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => stopped.as_mut().poll(context).map(|()| None),
    })
    .await
}

/// The response of the handler to a batch.
struct Answer {
    all: Reply,
    each: Option<EachStatus>,
}

/// The response to a delivery of a batch, without its body.
#[derive(Clone)]
struct Reply {
    status: StatusCode,
    disposition: Option<Disposition>,
    failure: Option<Failure>,
    retry_after: Option<HeaderValue>,
}

impl Answer {
    fn failed(reason: impl Into<std::borrow::Cow<'static, str>>) -> Self {
        Self { all: Reply::failed(reason), each: None }
    }

    async fn from_response<R>(response: Response<R>) -> Self
    where
        R: Body<Data = Bytes> + Send + 'static,
        R::Error: Into<BoxError>,
    {
        let (reason, response) = if response.status().is_success() {
            (None, response.map(ResponseBody::new))
        } else {
            stated_reason(response).await
        };
        let extensions = response.extensions();
        let all = Reply {
            status: response.status(),
            disposition: extensions.get().copied(),
            failure: extensions.get().cloned().or(reason.map(Failure::new)),
            retry_after: response.headers().get(header::RETRY_AFTER).cloned(),
        };
        Self { all, each: extensions.get().cloned() }
    }

    fn of(&self, place: usize) -> Reply {
        match self.each.as_ref().map(|each| each.0.get(place)) {
            None => self.all.clone(),
            Some(Some(status)) => Reply { status: *status, disposition: None, ..self.all.clone() },
            Some(None) => {
                Reply::failed("the handler returned no status for this delivery of the batch")
            }
        }
    }
}

impl Reply {
    fn failed(reason: impl Into<std::borrow::Cow<'static, str>>) -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            disposition: None,
            failure: Some(Failure::new(reason)),
            retry_after: None,
        }
    }

    fn into_response(self) -> Response<ResponseBody> {
        let mut response = Response::new(ResponseBody::default());
        *response.status_mut() = self.status;
        if let Some(disposition) = self.disposition {
            response.extensions_mut().insert(disposition);
        }
        if let Some(failure) = self.failure {
            response.extensions_mut().insert(failure);
        }
        if let Some(retry_after) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, retry_after);
        }
        response
    }
}

/// Waits until the batch of a delivery is handled, and returns the response. The inner service does not get the request
/// of the delivery.
pub struct InBatch<B> {
    receiver: oneshot::Receiver<Reply>,
    body: PhantomData<fn() -> B>,
}

impl<B> Future for InBatch<B> {
    type Output = StepResult<B>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let reply = ready!(Pin::new(&mut self.receiver).poll(context));
        // The task of the batch ended with its runtime.
        let stopped = |_| Reply::failed("the batch was stopped");
        Poll::Ready(Err(reply.unwrap_or_else(stopped).into_response()))
    }
}

impl<B> fmt::Debug for InBatch<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InBatch").finish_non_exhaustive()
    }
}
