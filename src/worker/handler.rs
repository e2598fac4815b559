use std::{
    future::poll_fn,
    marker::PhantomData,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use tower_service::Service;
use tracing::Instrument;

use crate::{
    layer::InboxBody,
    process::{BoxError, Job, Processed, Processor},
};

/// A tower service with the handlers: cloneable, `Send`, and responding to requests with an [`InboxBody<B>`].
///
/// Every such service implements it; it cannot be implemented otherwise. With axum it is the router before
/// `.layer(inbox.layer())`. A router accepts any body, so there `B` has to be named:
/// `inbox.start_workers::<axum::body::Body>(routes.clone())`.
pub trait HandlerService<B>: sealed::IntoBoxed<B> {}

impl<T: sealed::IntoBoxed<B>, B> HandlerService<B> for T {}

mod sealed {
    pub trait IntoBoxed<B> {
        #[doc(hidden)]
        fn into_boxed(self) -> super::BoxedHandler;
    }
}

/// A handler service whose type is erased. Clones share it.
#[derive(Clone)]
pub struct BoxedHandler(Arc<Mutex<dyn Run>>);

pub(super) type Running = Pin<Box<dyn Future<Output = Ran> + Send>>;

/// What came of running a handler on behalf of a worker or a replay. The outcome is recorded already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ran {
    /// The handler or the inbox responded with this status.
    Responded(StatusCode),
    /// The service failed or was not ready.
    Failed,
    /// The inference is being processed by somebody else.
    Requeued,
}

trait Run: Send {
    fn run(&self, processor: Processor, job: Job) -> Running;
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
    pub(crate) fn run(&self, processor: Processor, job: Job) -> Running {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).run(processor, job)
    }
}

impl std::fmt::Debug for BoxedHandler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BoxedHandler")
    }
}

struct Typed<S, B> {
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
        let typed = Typed { service: self, body: PhantomData::<fn() -> B> };
        BoxedHandler(Arc::new(Mutex::new(typed)))
    }
}

impl<S, B, R> Run for Typed<S, B>
where
    S: Service<Request<InboxBody<B>>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    B: Send + 'static,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    fn run(&self, processor: Processor, job: Job) -> Running {
        let mut service = self.service.clone();
        let span = job.context.span.clone();
        let running = async move {
            // If it is not ready, dropping the job releases the lease.
            if poll_fn(|context| service.poll_ready(context)).await.is_err() {
                tracing::error!("the service of the handlers is not ready, and failed");
                return Ran::Failed;
            }
            let bytes = job.delivery.body().clone();
            let head = job.delivery.head().to_parts();
            let call = |head| service.call(Request::from_parts(head, InboxBody::handed(bytes)));
            match processor.process(job, head, call).await {
                Processed::Ran(Ok(response)) | Processed::NotRun(response) => {
                    Ran::Responded(response.status())
                }
                Processed::Ran(Err(_)) => Ran::Failed,
                Processed::Requeued => Ran::Requeued,
            }
        };
        Box::pin(running.instrument(span))
    }
}
