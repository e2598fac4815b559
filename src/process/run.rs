use std::{
    future::poll_fn,
    pin::pin,
    task::Poll,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Extensions, Response};
use http_body::Body;

use super::{
    BoxError, Clock, Rejection, RequestContext, ResponseBody,
    failure::stated_reason,
    handler_result::{HandlerResult, classify_response},
};
use crate::{
    delivery::{Delivery, InferenceDigest, prefix},
    metrics,
    provider::{Loaded, Model, Tolerated},
    supervise::{Panic, catch, catch_async},
};

/// Why a handler is stopped, or does not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interruption {
    /// Another process runs the delivery.
    LeaseLost,
    /// The time for handlers in a shutdown is over.
    Shutdown,
}

/// How the run of a handler ended.
#[derive(Debug)]
pub(super) enum RunEnd {
    With(HandlerResult),
    By(Interruption),
}

/// Calls the handler, within its timeout if it has one, until it is interrupted.
///
/// Returns what the end means for the delivery, and the response.
pub(super) async fn run<F, R, E>(
    call: impl FnOnce() -> F,
    timeout: Option<Duration>,
    interrupted: impl Future<Output = Interruption>,
    context: &RequestContext,
    clock: &Clock,
) -> (RunEnd, Result<Response<ResponseBody>, E>)
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    let rejected = |result: HandlerResult, rejection: Rejection| {
        (RunEnd::With(result), Ok(context.reject(rejection)))
    };
    match call_handler(call, timeout, interrupted).await {
        CallEnd::Returned(Ok(response)) => {
            let result = classify_response(&response, clock.now());
            if matches!(result, HandlerResult::Processed { .. }) {
                return (RunEnd::With(result), Ok(response.map(ResponseBody::new)));
            }
            let (stated, response) = stated_reason(response).await;
            (RunEnd::With(result.with_stated_reason(stated)), Ok(response))
        }
        CallEnd::Returned(Err(error)) => {
            let result = HandlerResult::failed(&"the service of the handler failed");
            (RunEnd::With(result), Err(error))
        }
        CallEnd::Panicked(panic) => {
            let result = HandlerResult::failed(&format_args!("the handler {panic}"));
            rejected(result, Rejection::Panicked)
        }
        CallEnd::TimedOut => {
            let rejection = Rejection::HandlerTimeout;
            rejected(HandlerResult::failed(&rejection), rejection)
        }
        CallEnd::Interrupted(by) => {
            let rejection = match by {
                Interruption::LeaseLost => Rejection::LeaseLost,
                Interruption::Shutdown => Rejection::Stopping,
            };
            (RunEnd::By(by), Ok(context.reject(rejection)))
        }
    }
}

/// How a call of the handler ended.
enum CallEnd<T> {
    Returned(T),
    Panicked(Panic),
    TimedOut,
    Interrupted(Interruption),
}

async fn call_handler<F: Future>(
    call: impl FnOnce() -> F,
    timeout: Option<Duration>,
    interrupted: impl Future<Output = Interruption>,
) -> CallEnd<F::Output> {
    let mut interrupted = pin!(interrupted);
    let before = poll_fn(|context| Poll::Ready(interrupted.as_mut().poll(context))).await;
    if let Poll::Ready(by) = before {
        return CallEnd::Interrupted(by);
    }
    // A handler may also panic before it returns a future.
    let future = match catch(call) {
        Ok(future) => future,
        Err(panic) => return CallEnd::Panicked(panic),
    };
    let mut handler = pin!(catch_async(future));
    let mut timeout = pin!(timeout.map(tokio::time::sleep));
    poll_fn(|context| {
        if let Poll::Ready(returned) = handler.as_mut().poll(context) {
            return Poll::Ready(match returned {
                Ok(output) => CallEnd::Returned(output),
                Err(panic) => CallEnd::Panicked(panic),
            });
        }
        if let Some(timeout) = timeout.as_mut().as_pin_mut()
            && timeout.poll(context).is_ready()
        {
            return Poll::Ready(CallEnd::TimedOut);
        }
        interrupted.as_mut().poll(context).map(CallEnd::Interrupted)
    })
    .await
}

/// The name of the Rust type to which the model decodes deliveries. In the request extensions, for the log line of a
/// handler that expects another type.
///
/// ```
/// use tower_inbox::{Inference, layer::PayloadType, provider::foxyai::ImageGroup};
///
/// fn group(extensions: &http::Extensions) -> Result<&Inference<ImageGroup>, String> {
///     extensions.get().ok_or_else(|| match extensions.get::<PayloadType>() {
///         Some(found) => format!("expected an image group, found {}", found.name()),
///         None => "the request is not a delivery".to_owned(),
///     })
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadType(&'static str);

impl PayloadType {
    /// The name as [`std::any::type_name`] returns it.
    pub fn name(self) -> &'static str {
        self.0
    }
}

/// Why a body cannot be decoded: the JSON path, and the reason without a value of the body.
#[derive(Clone, Debug)]
pub(crate) struct Undecodable {
    pub(crate) path: String,
    pub(crate) reason: String,
}

impl Undecodable {
    fn whole(reason: String) -> Self {
        Self { path: "$".to_owned(), reason }
    }
}

/// The longest part of an inference key that is logged, in bytes. The sender chooses its length.
const MAX_LOGGED_KEY: usize = 256;

/// Decodes a delivery to the type of its model, and puts the inference and its key into `extensions`.
pub(super) fn decode(
    context: &RequestContext,
    delivery: &Delivery,
    extensions: &mut Extensions,
) -> Result<InferenceDigest, Undecodable> {
    let started = Instant::now();
    // The payload type is the user's code: a panic in it must not leave the delivery without an outcome.
    let scope: Vec<_> = context.captures.iter().collect();
    let decoded = catch(|| load(&context.model, delivery, &scope, extensions));
    context.record_duration("decode_us", started);
    let Loaded { key, tolerated } = match decoded {
        Ok(Ok(loaded)) => loaded,
        Ok(Err(undecodable)) => return Err(undecodable),
        Err(panic) => return Err(Undecodable::whole(format!("decoding {panic}"))),
    };
    report_tolerated(context, delivery, &tolerated);
    let text = key.to_string();
    context.span.record("inference", prefix(&text, MAX_LOGGED_KEY));
    let inference = InferenceDigest::of(&context.name, &key, delivery.digest());
    extensions.insert(key);
    extensions.insert(PayloadType(context.model.payload_type()));
    Ok(inference)
}

/// Counts what did not have the expected form and was tolerated, and logs it once per path.
fn report_tolerated(context: &RequestContext, delivery: &Delivery, tolerated: &[Tolerated]) {
    if tolerated.is_empty() {
        return;
    }
    metrics::tolerated(&context.name, tolerated.len());
    for (path, odd) in context.model.new_of(delivery, tolerated) {
        tracing::warn!(
            path,
            expected = odd.expected(),
            found = odd.found(),
            "tolerated: a member does not have the expected form; Inference::raw has it unchanged"
        );
    }
}

/// Loads the body of a delivery, decompressed if the model decompresses.
pub(crate) fn load(
    model: &Model,
    delivery: &Delivery,
    scope: &[(&str, &str)],
    extensions: &mut Extensions,
) -> Result<Loaded, Undecodable> {
    let plain = model.plain(delivery).map_err(|error| Undecodable::whole(error.to_string()))?;
    model.load(&plain, scope, extensions).map_err(|error| match model.encoding_left(delivery) {
        Some(encoding) => Undecodable::whole(format!("{encoding}; enable Model::decompress()")),
        None => Undecodable { path: error.path().to_owned(), reason: error.to_string() },
    })
}

/// Logs each place that is unknown to the type, once per place.
pub(super) fn detect_drift(context: &RequestContext, delivery: &Delivery) {
    for path in catch(|| context.model.look(delivery)).unwrap_or_default() {
        metrics::unknown(&context.name);
        tracing::warn!(
            path,
            "schema drift: the payload type does not know this member or enum value; Inference::raw has it"
        );
    }
}
