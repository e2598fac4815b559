//! Processes a delivery with the inner service as its handler.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;
use tracing::Instrument;

use super::{
    body::{BufferedBody, InboxBody, Split},
    step::{Archived, Dispatched},
    take_ready,
};
use crate::process::{
    BoxError, Job, Processed, Rejection, Resolution, ResponseBody, Trigger, as_the_first,
};

/// Decodes each delivery, processes one at a time of each inference, runs the inner service as its handler, and records
/// the outcome. A repeat is answered with the status of the first.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessLayer(());

impl ProcessLayer {
    /// Creates the layer. The archive comes with each delivery.
    pub fn new() -> Self {
        Self(())
    }
}

impl<S> Layer<S> for ProcessLayer {
    type Service = ProcessService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ProcessService { inner }
    }
}

/// The service of [`ProcessLayer`].
#[derive(Clone, Debug)]
pub struct ProcessService<S> {
    inner: S,
}

impl<S, B, R> Service<Request<InboxBody<B, Dispatched>>> for ProcessService<S>
where
    S: Service<Request<InboxBody<B>>, Response = Response<R>, Error: Send, Future: Send>
        + Clone
        + Send
        + 'static,
    S::Error: 'static,
    B: Send + 'static,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody>;
    type Error = S::Error;
    type Future = ProcessFuture<S::Future, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<InboxBody<B, Dispatched>>) -> Self::Future {
        let (parts, BufferedBody { bytes, step }) = match InboxBody::split(request) {
            Split::Through(through) => {
                let future = self.inner.call(through);
                return ProcessFuture { state: State::Through { future } };
            }
            Split::Delivery(parts, buffered) => (parts, buffered),
        };
        let mut ready_inner = take_ready(&mut self.inner);
        let call = move |head| {
            let request = Request::from_parts(head, InboxBody::handed(bytes));
            ready_inner.call(request)
        };
        let span = step.archived.context.span.clone();
        let processing = process(step.archived, parts, call);
        let processing = Box::pin(processing.instrument(span));
        ProcessFuture { state: State::Processing { processing } }
    }
}

async fn process<C, F, R, E>(
    archived: Archived,
    head: http::request::Parts,
    call: C,
) -> Result<Response<ResponseBody>, E>
where
    C: FnOnce(http::request::Parts) -> F,
    F: Future<Output = Result<Response<R>, E>>,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    let Archived { context, delivery, in_flight, processor, reservation, .. } = archived;
    let resolution = match in_flight {
        Some(in_flight) => Resolution::Process(in_flight),
        None => processor.resolve(delivery.id(), &context).await,
    };
    let in_flight = match resolution {
        Resolution::Process(in_flight) => Some(in_flight),
        Resolution::Repeat { of, status } => return Ok(as_the_first(of, status)),
        Resolution::Reject(rejection) => return Ok(rejection.reject()),
    };
    let job = Job { delivery, context, in_flight, trigger: Trigger::Request };
    let processed = processor.process(job, head, call).await;
    drop(reservation);
    match processed {
        Processed::Ran(response) => response,
        Processed::NotRun(response) => Ok(response),
        Processed::Requeued => Ok(Rejection::TooManyWaiting.reject()),
    }
}

pin_project! {
    /// The response future of [`ProcessService`].
    pub struct ProcessFuture<F, E> {
        #[pin]
        state: State<F, E>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F, E> {
        // Not for the inbox: the inner service has the request.
        Through { #[pin] future: F },
        Processing {
            processing: Pin<Box<dyn Future<Output = Result<Response<ResponseBody>, E>> + Send>>,
        },
    }
}

impl<F, R, E> Future for ProcessFuture<F, E>
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
            StateProjection::Processing { processing } => processing.as_mut().poll(context),
        }
    }
}
