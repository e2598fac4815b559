//! Decides who processes an archived delivery: the request, or a worker.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::Request;
use http::Response;
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;
use tracing::Instrument;

use super::{
    body::{BufferedBody, InboxBody, Split},
    future::{StepFuture, StepResult},
    step::{Archived, Dispatched, Mode},
};
use crate::process::{BoxError, ResponseBody, accepted};

/// Passes on deliveries that the request processes itself, and responds 202, or what the provider's profile says, to
/// those that workers process. Which of the two is set by [`ArchiveLayer`](super::ArchiveLayer).
#[derive(Clone, Copy, Debug, Default)]
pub struct DispatchLayer(());

impl DispatchLayer {
    /// Creates the layer.
    pub fn new() -> Self {
        Self(())
    }
}

impl<S> Layer<S> for DispatchLayer {
    type Service = DispatchService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        DispatchService { inner }
    }
}

/// The service of [`DispatchLayer`].
#[derive(Clone, Debug)]
pub struct DispatchService<S> {
    inner: S,
}

type Dispatching<B> = Pin<Box<dyn Future<Output = StepResult<InboxBody<B, Dispatched>>> + Send>>;

impl<S, B, R> Service<Request<InboxBody<B, Archived>>> for DispatchService<S>
where
    S: Service<Request<InboxBody<B, Dispatched>>, Response = Response<R>> + Clone,
    B: Send + 'static,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody>;
    type Error = S::Error;
    type Future = StepFuture<S, InboxBody<B, Dispatched>, Dispatching<B>>;

    /// Always ready, so that deliveries are archived and accepted while every handler is busy. The inner service is
    /// polled ready for the requests that it gets.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<InboxBody<B, Archived>>) -> Self::Future {
        let (parts, BufferedBody { bytes, step: archived }) = match InboxBody::split(request) {
            Split::Through(through) => return StepFuture::readying(self.inner.clone(), through),
            Split::Delivery(parts, buffered) => (parts, buffered),
        };
        match archived.mode {
            Mode::Inline => {
                let request =
                    Request::from_parts(parts, InboxBody::buffered(bytes, Dispatched { archived }));
                StepFuture::readying(self.inner.clone(), request)
            }
            Mode::Background { decode_first: false } => {
                let _entered = archived.context.span.clone().entered();
                StepFuture::responded(leave_to_workers(&archived))
            }
            Mode::Background { decode_first: true } => {
                let span = archived.context.span.clone();
                let dispatching = async move { Err(decode_first(&archived).await) };
                let dispatching = Box::pin(dispatching.instrument(span));
                StepFuture::before(dispatching, self.inner.clone())
            }
        }
    }
}

fn leave_to_workers(archived: &Archived) -> Response<ResponseBody> {
    if !archived.processor.has_workers() {
        tracing::error!(
            "the delivery is archived, but there are no workers to process it; call Inbox::start_workers"
        );
    }
    archived.processor.wake_workers();
    accepted(archived.context.model.status_profile().accepted)
}

async fn decode_first(archived: &Archived) -> Response<ResponseBody> {
    match archived.processor.decode_first(&archived.context, &archived.delivery).await {
        Ok(()) => leave_to_workers(archived),
        Err(rejection) => rejection,
    }
}
