use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    thread::available_parallelism,
};

use bytes::Bytes;
use http::{Request, Response, request::Parts};
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::{runtime::Handle, sync::Semaphore, task::JoinHandle};
use tower_layer::Layer;
use tower_service::Service;
use tracing::Instrument;

use super::{
    Quarantine,
    check::{Rejected, verify, verify_off_thread},
};
use crate::{
    layer::{
        body::{BufferedBody, InboxBody, Split},
        future::StepFuture,
        step::{Raw, Verified},
        take_ready,
    },
    process::{BoxError, Rejection, ResponseBody},
};

/// The longest body, in bytes, that is verified on the thread of its request.
///
/// Measured on a processor with SHA instructions: HMAC-SHA256 over 64 KiB takes 0.05 ms, one pass of Ed25519 0.14 ms, and
/// passing the work to another thread 0.01 ms.
const LONGEST_INLINE: usize = 64 << 10;

/// Passes on only deliveries that the model's scheme can verify. Others are answered 401.
///
/// Bodies of more than 64 KiB are verified on the runtime's threads for blocking work, as many at the same time as the
/// machine has cores. A client that hangs up meanwhile changes nothing: its delivery goes on to the next layer.
///
/// A scheme that panics is answered 500.
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

    /// Keeps rejected deliveries.
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

/// Runs as a task of its own: a delivery that was read whole goes on to the archive when its client hangs up.
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
