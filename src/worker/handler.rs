use std::{
    any::type_name,
    future::poll_fn,
    marker::PhantomData,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Uri};
use http_body::Body;
use tower_service::Service;
use tracing::Instrument;

use crate::{
    layer::InboxBody,
    process::{BoxError, Job, Processed, Processor},
    supervise::catch_async,
};

/// A tower service with the handlers: cloneable, `Send`, and responding to requests with an [`InboxBody<B>`].
///
/// Every such service implements it; it cannot be implemented otherwise. With axum it is the router before
/// `.layer(inbox.layer())`. A router accepts any body, so there `B` has to be named:
/// `inbox.start_workers::<axum::body::Body>(routes.clone())`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a service of handlers",
    label = "not a `Service<Request<InboxBody<{B}>>>` that workers can call",
    note = "the service must be `Clone + Send + 'static`, with a `Send` future and error, and respond with \
            `Response<R>`, where `R: Body<Data = Bytes> + Send + 'static`",
    note = "an axum router accepts any body: write `start_workers::<axum::body::Body>(routes.clone())`",
    note = "pass the service inside `inbox.layer()`, not the one that the layer returns"
)]
pub trait HandlerService<B>: sealed::IntoBoxed<B> {}

#[diagnostic::do_not_recommend]
impl<T: sealed::IntoBoxed<B>, B> HandlerService<B> for T {}

mod sealed {
    #[diagnostic::on_unimplemented(message = "`{Self}` is not a service of handlers")]
    pub trait IntoBoxed<B> {
        #[doc(hidden)]
        fn into_boxed(self) -> super::BoxedHandler;
    }
}

/// A handler service whose type is erased. Clones share it.
#[derive(Clone)]
pub struct BoxedHandler(Arc<Mutex<dyn ErasedHandler>>);

pub(super) type HandlerFuture = Pin<Box<dyn Future<Output = RunResult> + Send>>;

/// The result of running a handler for a worker or a replay. The outcome is recorded already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunResult {
    /// The handler or the inbox responded with this status.
    Responded(StatusCode),
    /// The service failed or was not ready.
    Failed,
    /// Another delivery of the inference is being processed.
    Requeued,
}

/// Marks the request with which [`Inbox::start_workers`](crate::Inbox::start_workers) checks whether an axum router has
/// a route for a model. In the request extensions.
///
/// The extractors of this crate reject the request, so that no handler runs. A handler for every method that uses none
/// of them can recognize it:
///
/// ```
/// use http::{Request, Response};
/// use tower_inbox::RouteProbe;
///
/// fn handle<B>(request: &Request<B>) -> Response<String> {
///     if request.extensions().get::<RouteProbe>().is_some() {
///         return Response::new(String::new());
///     }
///     // Process the delivery here.
///     Response::new(String::new())
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RouteProbe(());

impl RouteProbe {
    /// The method, for which routers respond 405 if there is a route.
    const METHOD: &[u8] = b"INBOX-PROBE";

    fn request<B>(uri: Uri) -> Request<InboxBody<B>> {
        let mut request = Request::new(InboxBody::handed(Bytes::new()));
        *request.method_mut() = Method::from_bytes(Self::METHOD).unwrap_or(Method::TRACE);
        *request.uri_mut() = uri;
        request.extensions_mut().insert(Self(()));
        request
    }
}

/// Only an axum router is probed: it responds to an unknown method itself, where another service could do anything.
const ROUTER: &str = "axum::routing::Router";

/// Completes with false if there is no route.
pub(super) type Probing = Pin<Box<dyn Future<Output = bool> + Send>>;

trait ErasedHandler: Send {
    fn run(&self, processor: Processor, job: Job) -> HandlerFuture;

    fn probe(&self, uri: Uri) -> Option<Probing>;
}

impl BoxedHandler {
    pub(crate) fn new<B>(service: impl HandlerService<B>) -> Self {
        service.into_boxed()
    }

    /// Processes a delivery.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the handler is stopped, and the delivery is pending again.
    pub(crate) fn run(&self, processor: Processor, job: Job) -> HandlerFuture {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).run(processor, job)
    }

    /// Checks whether the service has a route for `uri`. None if that cannot be checked without running a handler.
    pub(super) fn probe(&self, uri: Uri) -> Option<Probing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).probe(uri)
    }
}

impl std::fmt::Debug for BoxedHandler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BoxedHandler")
    }
}

struct TypedHandler<S, B> {
    service: S,
    body: PhantomData<fn() -> B>,
}

impl<S, B, R> sealed::IntoBoxed<B> for S
where
    S: Service<Request<InboxBody<B>>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    B: Send + 'static,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    fn into_boxed(self) -> BoxedHandler {
        let typed = TypedHandler { service: self, body: PhantomData::<fn() -> B> };
        BoxedHandler(Arc::new(Mutex::new(typed)))
    }
}

impl<S, B, R> ErasedHandler for TypedHandler<S, B>
where
    S: Service<Request<InboxBody<B>>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    B: Send + 'static,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    fn run(&self, processor: Processor, job: Job) -> HandlerFuture {
        let mut service = self.service.clone();
        let span = job.context.span.clone();
        let running = async move {
            // If it is not ready, dropping the job releases the lease.
            if poll_fn(|context| service.poll_ready(context)).await.is_err() {
                tracing::error!("the service of the handlers is not ready, and failed");
                return RunResult::Failed;
            }
            let bytes = job.delivery.body().clone();
            let head = job.delivery.head().to_parts();
            let call = |head| service.call(Request::from_parts(head, InboxBody::handed(bytes)));
            match processor.process(job, head, call).await {
                Processed::Ran(Ok(response)) | Processed::NotRun(response) => {
                    RunResult::Responded(response.status())
                }
                Processed::Ran(Err(_)) => RunResult::Failed,
                Processed::Requeued => RunResult::Requeued,
            }
        };
        Box::pin(running.instrument(span))
    }

    fn probe(&self, uri: Uri) -> Option<Probing> {
        if !type_name::<S>().contains(ROUTER) {
            return None;
        }
        let mut service = self.service.clone();
        let probing = async move {
            poll_fn(|context| service.poll_ready(context)).await.ok()?;
            let response = service.call(RouteProbe::request(uri)).await.ok()?;
            Some(response.status())
        };
        // A panic, or an error of a layer, does not show that there is no route.
        Some(Box::pin(async move {
            catch_async(probing).await.ok().flatten() != Some(StatusCode::NOT_FOUND)
        }))
    }
}
