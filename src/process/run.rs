use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

use bytes::Bytes;
use http::Response;
use http_body::Body;

use super::{
    BoxError, Clock, Rejection, ResponseBody,
    failure::stated_reason,
    handler_result::{HandlerResult, classify_response},
};
use crate::supervise::{Panic, catch, catch_async};

/// Calls the handler, within its timeout if it has one, until its lease is lost.
///
/// Returns what its result means for the delivery, None if the lease was lost, and the response.
pub(super) async fn run<F, R, E>(
    call: impl FnOnce() -> F,
    timeout: Option<Duration>,
    lost: impl Future<Output = ()>,
    clock: &Clock,
) -> (Option<HandlerResult>, Result<Response<ResponseBody>, E>)
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    let rejected =
        |result: HandlerResult, rejection: Rejection| (Some(result), Ok(rejection.reject()));
    match call_handler(call, timeout, lost).await {
        End::Returned(Ok(response)) => {
            let (parts, body) = response.into_parts();
            let result = classify_response(parts.status, &parts.headers, clock.now());
            let response = Response::from_parts(parts, body);
            if matches!(result, HandlerResult::Processed { .. }) {
                return (Some(result), Ok(response.map(ResponseBody::new)));
            }
            let (stated, response) = stated_reason(response).await;
            (Some(result.with_stated_reason(stated)), Ok(response))
        }
        End::Returned(Err(error)) => {
            (Some(HandlerResult::failed(&"the service of the handler failed")), Err(error))
        }
        End::Panicked(panic) => {
            let result = HandlerResult::failed(&format_args!("the handler {panic}"));
            rejected(result, Rejection::Panicked)
        }
        End::TimedOut => {
            let rejection = Rejection::HandlerTimeout;
            rejected(HandlerResult::failed(&rejection), rejection)
        }
        End::LeaseLost => (None, Ok(Rejection::LeaseLost.reject())),
    }
}

/// How a call of the handler ended.
enum End<T> {
    Returned(T),
    Panicked(Panic),
    TimedOut,
    LeaseLost,
}

async fn call_handler<F: Future>(
    call: impl FnOnce() -> F,
    timeout: Option<Duration>,
    lost: impl Future<Output = ()>,
) -> End<F::Output> {
    // A handler may also panic before it returns a future.
    let future = match catch(call) {
        Ok(future) => future,
        Err(panic) => return End::Panicked(panic),
    };
    let mut handler = pin!(catch_async(future));
    let mut timeout = pin!(timeout.map(tokio::time::sleep));
    let mut lost = pin!(lost);
    poll_fn(|context| {
        if let Poll::Ready(returned) = handler.as_mut().poll(context) {
            return Poll::Ready(match returned {
                Ok(output) => End::Returned(output),
                Err(panic) => End::Panicked(panic),
            });
        }
        if let Some(timeout) = timeout.as_mut().as_pin_mut()
            && timeout.poll(context).is_ready()
        {
            return Poll::Ready(End::TimedOut);
        }
        lost.as_mut().poll(context).map(|()| End::LeaseLost)
    })
    .await
}
