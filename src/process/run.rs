use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

use bytes::Bytes;
use http::Response;
use http_body::Body;

use super::{
    BoxError, Clock, Rejection, RequestContext, ResponseBody,
    failure::stated_reason,
    handler_result::{HandlerResult, classify_response},
};
use crate::supervise::{Panic, catch, catch_async};

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
