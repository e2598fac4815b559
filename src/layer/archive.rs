//! Appends the delivery to the archive and waits until it is durable. From here on a client that hangs up changes
//! nothing.

use std::{
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, request::Parts};
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::{
    sync::oneshot,
    task::{JoinError, JoinHandle},
    time::{timeout, timeout_at},
};
use tower_layer::Layer;
use tower_service::Service;
use tracing::Instrument;

use super::{
    body::{BufferedBody, InboxBody, Split},
    step::{Archived, Mode, Raw, Verified},
    take_ready,
};
use crate::{
    archive::{Append, Appended, ArchiveError, Work},
    delivery::{Delivery, DeliveryId},
    metrics,
    process::{
        BoxError, DELIVERY_ID, Processor, Rejection, Repeat, ResponseBody, accepted, logs_details,
        mark_repeat,
    },
    worker::RunningWorkers,
};

/// Makes each delivery durable before anything tries to decode it. If that fails, the response is 503, never 2xx.
#[derive(Clone, Debug)]
pub struct ArchiveLayer {
    processor: Processor,
    mode: Mode,
}

impl ArchiveLayer {
    /// Inline mode: the request that brings a delivery processes it, under a lease that the append acquires.
    ///
    /// ```
    /// use tower_inbox::{MemoryArchive, layer::{ArchiveLayer, Processor}};
    ///
    /// let processor = Processor::new(MemoryArchive::new());
    /// let layer = ArchiveLayer::inline(&processor);
    /// # let _ = layer;
    /// ```
    pub fn inline(processor: &Processor) -> Self {
        Self { processor: processor.clone(), mode: Mode::Inline }
    }

    /// Background mode: workers process the deliveries. It requires running workers, so that every accepted delivery is
    /// processed:
    ///
    /// ```compile_fail,E0308
    /// use tower_inbox::{MemoryArchive, Workers, layer::ArchiveLayer};
    ///
    /// let processor = Workers::new(8).processor(MemoryArchive::new());
    /// let layer = ArchiveLayer::background(&processor);
    /// ```
    ///
    /// With `Workers::new(8).start(&processor, &models, service)?` in its place it compiles.
    pub fn background(workers: &RunningWorkers) -> Self {
        Self::with_mode(workers.processor().clone(), workers.mode())
    }

    pub(crate) fn with_mode(processor: Processor, mode: Mode) -> Self {
        Self { processor, mode }
    }
}

impl<S> Layer<S> for ArchiveLayer {
    type Service = ArchiveService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ArchiveService { inner, processor: self.processor.clone(), mode: self.mode }
    }
}

/// The service of [`ArchiveLayer`].
#[derive(Clone, Debug)]
pub struct ArchiveService<S> {
    inner: S,
    processor: Processor,
    mode: Mode,
}

type Output<E> = Result<Response<ResponseBody>, E>;

impl<S, B, R> Service<Request<InboxBody<B, Verified>>> for ArchiveService<S>
where
    S: Service<Request<InboxBody<B, Archived>>, Response = Response<R>, Error: Send, Future: Send>
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
    type Future = ArchiveFuture<S::Future, Output<S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<InboxBody<B, Verified>>) -> Self::Future {
        let (parts, buffered) = match InboxBody::split(request) {
            Split::Delivery(parts, buffered) => (parts, buffered),
            Split::Through(through) => return ArchiveFuture::through(self.inner.call(through)),
        };
        let span = buffered.step.raw.context.span.clone();
        let _entered = span.enter();
        let delivery = delivery(&parts, &buffered);
        let append = Append::new(delivery.clone());
        let append = match self.mode {
            Mode::Inline => append.leased_for(self.processor.config().lease_length),
            Mode::Background { .. } => append,
        };
        // The append starts here, so that deliveries are archived in the order in which they were read.
        let appending = Appending {
            delivery,
            raw: buffered.step.raw,
            append: self.processor.archive().append(append),
            started: Instant::now(),
            processor: self.processor.clone(),
            mode: self.mode,
        };
        let (soft_timeout, early_response) = SoftTimeout::of(&self.processor, self.mode);
        let work = archive_then_call(take_ready(&mut self.inner), parts, appending, soft_timeout);
        let task = self.processor.spawn(work.instrument(span.clone()));
        ArchiveFuture::working(task, early_response)
    }
}

/// A delivery that is being archived.
struct Appending {
    delivery: Delivery,
    raw: Raw,
    append: Work<Appended>,
    started: Instant,
    processor: Processor,
    mode: Mode,
}

fn delivery(parts: &Parts, buffered: &BufferedBody<Verified>) -> Delivery {
    let context = &buffered.step.raw.context;
    let delivery = Delivery::received(
        context.id,
        context.name.clone(),
        parts,
        buffered.bytes.clone(),
        context.received_at,
        buffered.step.proof.clone(),
        context.model.redaction(),
    );
    if logs_details() {
        context.span.record("digest", tracing::field::display(delivery.digest()));
    }
    delivery
}

async fn archive_then_call<S, B, R>(
    mut ready_inner: S,
    mut parts: Parts,
    appending: Appending,
    soft_timeout: Option<SoftTimeout<Output<S::Error>>>,
) -> Output<S::Error>
where
    S: Service<Request<InboxBody<B, Archived>>, Response = Response<R>>,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    let archived = match appending.archived().await {
        Ok(archived) => archived,
        Err(response) => return Ok(response),
    };
    let id = archived.delivery.id();
    let repeat_of = archived.receipt.is_repeat().then_some(id);
    let status = archived.context.model.status_profile().accepted;
    let bytes = archived.delivery.body().clone();
    parts.extensions.insert(archived.delivery.clone());
    parts.extensions.insert(archived.receipt);
    let request = Request::from_parts(parts, InboxBody::buffered(bytes, archived));
    let calling = ready_inner.call(request);
    let identified = |response| identified(response, id, repeat_of);
    let response = match soft_timeout {
        None => calling.await,
        Some(timeout) => timeout.or(calling, || Ok(identified(accepted(status)))).await,
    };
    Ok(identified(response?.map(ResponseBody::new)))
}

/// Adds the id under which the delivery is archived, and whether it is a repeat.
fn identified(
    mut response: Response<ResponseBody>,
    id: DeliveryId,
    repeat_of: Option<DeliveryId>,
) -> Response<ResponseBody> {
    if let Ok(id) = HeaderValue::try_from(id.to_string()) {
        response.headers_mut().insert(DELIVERY_ID, id);
    }
    // A repeat of a delivery that was itself a repeat names the one that was processed.
    if let Some(of) = repeat_of.filter(|_| response.extensions().get::<Repeat>().is_none()) {
        mark_repeat(&mut response, of);
    }
    response
}

impl Appending {
    /// Waits until the delivery is durable. A repeat continues under the id of the first.
    async fn archived(self) -> Result<Archived, Response<ResponseBody>> {
        let appended = match self.processor.config().archive_timeout {
            Some(limit) => timeout(limit, self.append)
                .await
                .unwrap_or_else(|_| Err(ArchiveError::Unsure(Box::new(NotInTime { limit })))),
            None => self.append.await,
        };
        let Raw { context, reservation } = self.raw;
        let Appended { receipt, lease, .. } = match appended {
            Ok(appended) => appended,
            Err(error) => return Err(context.reject(Rejection::Archive(Arc::new(error)))),
        };
        let in_flight = lease.map(|lease| self.processor.in_flight(lease, &context));
        context.record_duration("archive_us", self.started);
        if receipt.is_repeat() {
            context.span.record("repeat_of", tracing::field::display(receipt.id()));
            metrics::repeated(&context.name);
        } else {
            metrics::archived(&context.name, self.delivery.body().len(), self.started.elapsed());
        }
        let delivery = self.delivery.with_id(receipt.id());
        let (processor, mode) = (self.processor, self.mode);
        Ok(Archived { context, reservation, delivery, receipt, in_flight, processor, mode })
    }
}

/// The archive has the delivery, and may still make it durable.
#[derive(Debug, thiserror::Error)]
#[error(
    "the delivery was not durable within {limit:?}, the limit of InboxBuilder::archive_timeout"
)]
struct NotInTime {
    limit: Duration,
}

/// Responds to a sender that has waited for long enough, while its delivery is still being processed.
struct SoftTimeout<O> {
    deadline: tokio::time::Instant,
    early_response: oneshot::Sender<O>,
}

impl<O> SoftTimeout<O> {
    /// Only if there are workers: without them, a failure after the early response would not be retried.
    fn of(processor: &Processor, mode: Mode) -> (Option<Self>, Option<oneshot::Receiver<O>>) {
        let answer_within = processor.config().answer_within;
        let deadline = tokio::time::Instant::now().checked_add(answer_within);
        match deadline.filter(|_| mode == Mode::Inline && processor.has_workers()) {
            None => (None, None),
            Some(deadline) => {
                let (early_response, receiver) = oneshot::channel();
                (Some(Self { deadline, early_response }), Some(receiver))
            }
        }
    }

    /// The output of `calling`. At the deadline the sender is given `accepted`.
    async fn or<T>(self, calling: impl Future<Output = T>, accepted: impl FnOnce() -> O) -> T {
        let mut calling = pin!(calling);
        if let Ok(output) = timeout_at(self.deadline, calling.as_mut()).await {
            return output;
        }
        // The client may have hung up.
        drop(self.early_response.send(accepted()));
        calling.await
    }
}

pin_project! {
    /// The response to a delivery. Dropping it does not stop the processing.
    pub struct ArchiveFuture<F, O> {
        #[pin]
        state: State<F, O>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F, O> {
        // Not for the inbox: the inner service has the request.
        Through { #[pin] future: F },
        // A task archives the delivery and calls the inner service. It may respond before its end.
        Working { #[pin] task: JoinHandle<O>, early_response: Option<oneshot::Receiver<O>> },
    }
}

impl<F, O> ArchiveFuture<F, O> {
    fn through(future: F) -> Self {
        Self { state: State::Through { future } }
    }

    fn working(task: JoinHandle<O>, early_response: Option<oneshot::Receiver<O>>) -> Self {
        Self { state: State::Working { task, early_response } }
    }
}

impl<F, R, E> Future for ArchiveFuture<F, Output<E>>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Output = Output<E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Through { future } => {
                future.poll(context).map_ok(|response| response.map(ResponseBody::new))
            }
            StateProjection::Working { task, early_response } => {
                if let Some(waiting) = early_response
                    && let Poll::Ready(responded) = Pin::new(waiting).poll(context)
                {
                    *early_response = None;
                    if let Ok(response) = responded {
                        return Poll::Ready(response);
                    }
                }
                Poll::Ready(ready!(task.poll(context)).unwrap_or_else(|error| Ok(failed(&error))))
            }
        }
    }
}

/// The task did not come to its end: something inside panicked, or the runtime is shutting down.
fn failed(error: &JoinError) -> Response<ResponseBody> {
    let rejection = if error.is_panic() { Rejection::Panicked } else { Rejection::Stopping };
    rejection.reject()
}
