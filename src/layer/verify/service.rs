use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    thread::available_parallelism,
    time::Instant,
};

use bytes::Bytes;
use http::{Request, Response, request::Parts};
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::{runtime::Handle, sync::Semaphore, task::JoinHandle};
use tower_layer::Layer;
use tower_service::Service;
use tracing::Instrument;

use super::Quarantine;
use crate::{
    delivery::Delivery,
    layer::{
        body::{BufferedBody, InboxBody, Split},
        future::StepFuture,
        step::{Raw, Verified},
        take_ready,
    },
    process::{BoxError, Rejection, RequestContext, ResponseBody},
    signature::{Proof, SignatureError, doctor::examine_head},
    supervise::catch,
};

/// The longest body, in bytes, that is verified on the thread of its request.
///
/// Measured on a processor with SHA instructions: HMAC-SHA256 over 64 KiB takes 0.05 ms, one pass of Ed25519 0.14 ms,
/// and passing the work to another thread 0.01 ms.
const LONGEST_INLINE: usize = 64 << 10;

/// Passes on only deliveries that the model's scheme can verify. Others are answered 401.
///
/// Bodies of more than 64 KiB are verified on the runtime's threads for blocking work, as many at the same time as the
/// machine has cores. If the client hangs up meanwhile, its delivery is still passed to the next layer.
///
/// If a scheme panics, the response is 500.
///
/// ```
/// use tower_inbox::{MemoryArchive, layer::{Quarantine, VerifyLayer}};
///
/// let layer = VerifyLayer::new().quarantine(Quarantine::new(MemoryArchive::new()));
/// # let _ = layer;
/// ```
#[derive(Clone, Debug)]
pub struct VerifyLayer {
    quarantine: Option<Quarantine>,
    permits: Arc<Semaphore>,
}

impl VerifyLayer {
    /// Creates the layer. Each model has its scheme.
    pub fn new() -> Self {
        let cores = available_parallelism().map_or(1, usize::from);
        Self { quarantine: None, permits: Arc::new(Semaphore::new(cores)) }
    }

    /// Keeps rejected deliveries in a quarantine. Default: they are discarded.
    pub fn quarantine(mut self, quarantine: Quarantine) -> Self {
        self.quarantine = Some(quarantine);
        self
    }
}

impl Default for VerifyLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for VerifyLayer {
    type Service = VerifyService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let Self { quarantine, permits } = self.clone();
        VerifyService { inner, quarantine, permits }
    }
}

/// The service of [`VerifyLayer`].
#[derive(Clone, Debug)]
pub struct VerifyService<S> {
    inner: S,
    quarantine: Option<Quarantine>,
    permits: Arc<Semaphore>,
}

type Output<E> = Result<Response<ResponseBody>, E>;

impl<S, B, R> Service<Request<InboxBody<B, Raw>>> for VerifyService<S>
where
    S: Service<Request<InboxBody<B, Verified>>, Response = Response<R>, Error: Send, Future: Send>
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
    type Future = VerifyFuture<S, InboxBody<B, Verified>, Output<S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<InboxBody<B, Raw>>) -> Self::Future {
        let (parts, buffered) = match InboxBody::split(request) {
            Split::Delivery(parts, buffered) => (parts, buffered),
            Split::Through(through) => return VerifyFuture::calling(self.inner.call(through)),
        };
        let span = buffered.step.context.span.clone();
        if takes_long(&buffered)
            && let Ok(runtime) = Handle::try_current()
        {
            let (quarantine, permits) = (self.quarantine.clone(), Arc::clone(&self.permits));
            let verifying = verify_off_thread(parts, buffered, quarantine, permits);
            let work = verify_then_call(take_ready(&mut self.inner), verifying);
            return VerifyFuture::working(runtime.spawn(work.instrument(span)));
        }
        let _entered = span.entered();
        match verify(&parts, buffered, self.quarantine.as_ref()) {
            Ok((bytes, verified)) => {
                let request = Request::from_parts(parts, InboxBody::buffered(bytes, verified));
                VerifyFuture::calling(self.inner.call(request))
            }
            Err(response) => VerifyFuture::responded(*response),
        }
    }
}

/// Whether a body is too long to be verified on the thread of its request, or may be once it is decompressed.
fn takes_long(buffered: &BufferedBody<Raw>) -> bool {
    buffered.bytes.len() > LONGEST_INLINE
        || buffered.step.context.model.decompresses_before_verifying()
}

/// Runs in its own task, so that a delivery that was read whole reaches the archive although its client hung up.
async fn verify_then_call<S, B, R>(
    mut ready_inner: S,
    verifying: impl Future<Output = Result<(Parts, Bytes, Verified), Rejected>>,
) -> Output<S::Error>
where
    S: Service<Request<InboxBody<B, Verified>>, Response = Response<R>>,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    match verifying.await {
        Ok((parts, bytes, verified)) => {
            let request = Request::from_parts(parts, InboxBody::buffered(bytes, verified));
            Ok(ready_inner.call(request).await?.map(ResponseBody::new))
        }
        Err(response) => Ok(*response),
    }
}

pin_project! {
    /// The response to a request that is verified. Dropping it does not stop the verification of a long body.
    pub struct VerifyFuture<S, N, O>
    where
        S: Service<Request<N>>,
    {
        #[pin]
        state: State<S, N, O>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, N, O>
    where
        S: Service<Request<N>>,
    {
        // Verified on this thread, or nothing to verify.
        Here { #[pin] step: StepFuture<S, N> },
        // A task verifies the delivery elsewhere and calls the inner service.
        Working { #[pin] task: JoinHandle<O> },
    }
}

impl<S, N, O> VerifyFuture<S, N, O>
where
    S: Service<Request<N>>,
{
    fn calling(calling: S::Future) -> Self {
        Self { state: State::Here { step: StepFuture::calling(calling) } }
    }

    fn responded(response: Response<ResponseBody>) -> Self {
        Self { state: State::Here { step: StepFuture::responded(response) } }
    }

    fn working(task: JoinHandle<O>) -> Self {
        Self { state: State::Working { task } }
    }
}

impl<S, N, R> Future for VerifyFuture<S, N, Output<S::Error>>
where
    S: Service<Request<N>, Response = Response<R>>,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Output = Output<S::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Here { step } => step.poll(context),
            StateProjection::Working { task } => match ready!(task.poll(context)) {
                Ok(output) => Poll::Ready(output),
                // The inner service panicked: as it would on this thread.
                Err(error) if error.is_panic() => Poll::Ready(Ok(Rejection::Panicked.reject())),
                Err(_) => Poll::Ready(Ok(Rejection::Stopping.reject())),
            },
        }
    }
}

/// The response to a delivery that is rejected.
pub(super) type Rejected = Box<Response<ResponseBody>>;

/// Rejects a request that no body can make valid. Called before the body is read.
pub(in crate::layer) fn rejected_by_head(
    parts: &Parts,
    context: &RequestContext,
) -> Option<Response<ResponseBody>> {
    let check = || context.model.scheme().check_head(parts, context.received_at);
    context.span.in_scope(|| run(check).err().map(|rejection| reject(rejection, parts, context)))
}

/// Verifies a delivery on this thread. A delivery that is rejected is offered to the quarantine.
pub(super) fn verify(
    parts: &Parts,
    buffered: BufferedBody<Raw>,
    quarantine: Option<&Quarantine>,
) -> Result<(Bytes, Verified), Rejected> {
    let BufferedBody { bytes, step: raw } = buffered;
    let started = Instant::now();
    let verify = || raw.context.model.scheme().verify(parts, &bytes, raw.context.received_at);
    let verified = run(verify);
    raw.context.record_duration("verify_us", started);
    match verified {
        Ok(proof) => Ok((bytes, Verified::new(raw, proof))),
        Err(rejection) => {
            if let Some(quarantine) = quarantine {
                quarantine.keep(bytes.len(), rejected(parts, bytes, &raw.context));
            }
            Err(Box::new(reject(rejection, parts, &raw.context)))
        }
    }
}

/// Verifies a delivery on a thread for blocking work, so that a long body does not hold up the other requests of this
/// thread. Waits for one of `permits`, which limit how many threads do so at the same time.
pub(super) async fn verify_off_thread(
    parts: Parts,
    buffered: BufferedBody<Raw>,
    quarantine: Option<Quarantine>,
    permits: Arc<Semaphore>,
) -> Result<(Parts, Bytes, Verified), Rejected> {
    let permit = permits.acquire_owned().await.map_err(|_| stopping())?;
    let work = move || {
        let _permit = permit;
        let span = buffered.step.context.span.clone();
        let verified = span.in_scope(|| verify(&parts, buffered, quarantine.as_ref()));
        verified.map(|(bytes, verified)| (parts, bytes, verified))
    };
    // A panic of the scheme does not get here: what fails is a runtime that shuts down.
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(stopping()))
}

fn stopping() -> Rejected {
    Box::new(Rejection::Stopping.reject())
}

/// Logs the rejection with what the head shows of its reason.
fn reject(rejection: Rejection, parts: &Parts, context: &RequestContext) -> Response<ResponseBody> {
    let finding = match &rejection {
        Rejection::Signature(error) => examine_head(error, parts),
        _ => None,
    };
    context.reject_with(rejection, finding.as_ref())
}

/// Runs a check of a scheme, whose panic becomes a rejection.
fn run<T>(check: impl FnOnce() -> Result<T, SignatureError>) -> Result<T, Rejection> {
    match catch(check) {
        Ok(checked) => checked.map_err(Rejection::Signature),
        Err(panic) => {
            tracing::error!(%panic, "a signature scheme panicked");
            Err(Rejection::Panicked)
        }
    }
}

/// Creates a delivery without a proof when it is called, because the digest takes time.
fn rejected(
    parts: &Parts,
    bytes: Bytes,
    context: &RequestContext,
) -> impl FnOnce() -> Delivery + Send + 'static {
    let (parts, context) = (parts.clone(), context.clone());
    move || {
        let proof = Proof::new("refused", "none", "raw");
        // Not proved, but two messages that claim two ids are both kept.
        let proof = match context.model.scheme().claimed_message_id(&parts) {
            Some(id) => proof.with_message_id(id),
            None => proof,
        };
        let RequestContext { id, name, model, received_at, .. } = context;
        Delivery::received(id, name, &parts, bytes, received_at, proof, model.redaction())
    }
}
