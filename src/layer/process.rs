//! Processes a delivery with the inner service as its handler.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response, request::Parts};
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
use crate::{
    archive::ArchiveError,
    delivery::{Delivery, DeliveryId},
    process::{
        BoxError, Job, Processed, Processor, Rejection, Resolution, ResponseBody, Trigger,
        as_the_first,
    },
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
        let (parts, BufferedBody { step, .. }) = match InboxBody::split(request) {
            Split::Through(through) => {
                let future = self.inner.call(through);
                return ProcessFuture { state: State::Through { future } };
            }
            Split::Delivery(parts, buffered) => (parts, buffered),
        };
        let mut ready_inner = take_ready(&mut self.inner);
        let call = move |head, bytes| {
            ready_inner.call(Request::from_parts(head, InboxBody::handed(bytes)))
        };
        let span = step.archived.context.span.clone();
        let processing = process(step.archived, parts, call);
        let processing = Box::pin(processing.instrument(span));
        ProcessFuture { state: State::Processing { processing } }
    }
}

async fn process<C, F, R, E>(
    archived: Archived,
    head: Parts,
    call: C,
) -> Result<Response<ResponseBody>, E>
where
    C: FnOnce(Parts, Bytes) -> F,
    F: Future<Output = Result<Response<R>, E>>,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    let Archived { context, delivery, receipt, in_flight, processor, reservation, .. } = archived;
    let resolution = match in_flight {
        Some(in_flight) => Resolution::Process(in_flight),
        None => processor.resolve(delivery.id(), &context).await,
    };
    let in_flight = match resolution {
        Resolution::Process(in_flight) => Some(in_flight),
        Resolution::Repeat { of, status } => return Ok(as_the_first(of, status)),
        Resolution::Reject(rejection) => return Ok(context.reject(rejection)),
    };
    // A repeat may differ from the stored delivery in unsigned parts, such as line breaks. The stored one is processed.
    let delivery = if receipt.is_repeat() {
        match stored(&processor, delivery.id()).await {
            Ok(delivery) => delivery,
            Err(error) => return Ok(context.reject(Rejection::State(error.into()))),
        }
    } else {
        delivery
    };
    let bytes = delivery.body().clone();
    let job = Job { delivery, context, in_flight, trigger: Trigger::Request };
    let processed = processor.process(job, head, |head| call(head, bytes)).await;
    drop(reservation);
    match processed {
        Processed::Ran(response) => response,
        Processed::NotRun(response) => Ok(response),
        Processed::Requeued => Ok(Rejection::TooManyWaiting.reject()),
    }
}

async fn stored(processor: &Processor, id: DeliveryId) -> Result<Delivery, ArchiveError> {
    let archived = processor.archive().get(id).await?;
    archived.map(|archived| archived.delivery).ok_or(ArchiveError::Unknown { id })
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
