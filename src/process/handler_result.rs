use std::time::{Duration, SystemTime};

use http::{HeaderMap, Response, header};

use super::RetryPolicy;
use crate::delivery::{InferenceDigest, Outcome};

/// Decides whether a delivery is retried, instead of the status of the response. Put it into the response extensions.
/// The sender gets the status unchanged.
///
/// Without it, the status decides: 2xx is processed; 4xx is dead, except for 408, 409, 425 and 429; everything else is
/// retried. For example, 409 is retried, because most conflicts are temporary. A conflict that is final:
///
/// ```
/// use http::{Response, StatusCode};
/// use tower_inbox::layer::{Disposition, Failure};
///
/// let mut response = Response::new(String::new());
/// *response.status_mut() = StatusCode::CONFLICT;
/// response.extensions_mut().insert(Disposition::Dead);
/// response.extensions_mut().insert(Failure::new("the order was closed"));
/// ```
///
/// With feature `axum` it is a part of a response: `(StatusCode::CONFLICT, Disposition::Dead)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Disposition {
    /// The attempt failed. The delivery is retried as the [`RetryPolicy`](crate::RetryPolicy) says, which needs
    /// [workers](crate::Inbox::start_workers).
    Retry,
    /// The delivery is dead. It runs again only if the sender repeats it, or after
    /// [`Inbox::retry`](crate::Inbox::retry).
    Dead,
}

/// What a run of the handler means for the delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HandlerResult {
    Processed {
        status: u16,
    },
    /// Retried. `retry_after` is the wait that the handler asked for.
    Failed {
        reason: String,
        retry_after: Option<Duration>,
    },
    /// Not retried.
    Dead {
        reason: String,
    },
}

impl HandlerResult {
    pub(super) fn failed(reason: &impl ToString) -> Self {
        Self::Failed { reason: reason.to_string(), retry_after: None }
    }

    /// Adds the reason that the handler stated.
    pub(super) fn with_stated_reason(mut self, stated: Option<String>) -> Self {
        if let (Self::Failed { reason, .. } | Self::Dead { reason }, Some(stated)) =
            (&mut self, stated)
        {
            *reason = format!("{reason}: {stated}");
        }
        self
    }
}

/// Classifies the response of a handler.
///
/// 2xx: processed. 4xx: dead, because the same bytes would be rejected again, except for 408, 409, 425 and 429, which
/// are temporary. Everything else: failed. A [`Disposition`] overrides the status.
pub(super) fn classify_response<R>(response: &Response<R>, now: SystemTime) -> HandlerResult {
    let status = response.status();
    let is_temporary = matches!(status.as_u16(), 408 | 409 | 425 | 429);
    let disposition = match response.extensions().get() {
        Some(disposition) => *disposition,
        None if status.is_success() => {
            return HandlerResult::Processed { status: status.as_u16() };
        }
        None if status.is_client_error() && !is_temporary => Disposition::Dead,
        None => Disposition::Retry,
    };
    let reason = format!("the handler returned {}", status.as_u16());
    match disposition {
        Disposition::Dead => HandlerResult::Dead { reason },
        Disposition::Retry => {
            HandlerResult::Failed { reason, retry_after: retry_after(response.headers(), now) }
        }
    }
}

/// The `Retry-After` of a response: seconds or a date (RFC 9110, section 10.2.3). None if it is neither.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let then = httpdate::parse_http_date(value).ok()?;
    Some(then.duration_since(now).unwrap_or_default())
}

/// A finished attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finished {
    pub(super) attempt: u32,
    /// Time since the delivery was received.
    pub(super) age: Duration,
    pub(super) now: SystemTime,
    pub(super) inference: Option<InferenceDigest>,
}

/// The outcome of an attempt, and the wait before the next one if it failed. `jitter` is between 0 and 1.
pub(super) fn next_state(
    result: HandlerResult,
    finished: Finished,
    retries: &RetryPolicy,
    jitter: f64,
) -> (Outcome, Duration) {
    let (outcome, wait) = match result {
        HandlerResult::Processed { status } => (Outcome::processed(status), Duration::ZERO),
        HandlerResult::Dead { reason } => (Outcome::dead(reason), Duration::ZERO),
        HandlerResult::Failed { reason, retry_after } => {
            match retries.wait(finished.attempt, finished.age, retry_after, jitter) {
                Ok(wait) => {
                    let failed = Outcome::failed_at(finished.attempt, reason);
                    let due = finished.now.checked_add(wait);
                    (due.into_iter().fold(failed, Outcome::due_at), wait)
                }
                Err(given_up) => {
                    (Outcome::dead(format_args!("{reason}; {given_up}")), Duration::ZERO)
                }
            }
        }
    };
    (outcome.with_inference(finished.inference), wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn classified(status: u16) -> HandlerResult {
        let response = Response::builder().status(status).body(()).unwrap();
        classify_response(&response, SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn disposition_overrides_the_status() {
        let of = |status, disposition: Disposition| {
            let response = Response::builder().status(status).extension(disposition);
            classify_response(&response.body(()).unwrap(), SystemTime::UNIX_EPOCH)
        };
        for status in [200, 409, 503] {
            let reason = format!("the handler returned {status}");
            let dead = HandlerResult::Dead { reason: reason.clone() };
            assert_eq!(of(status, Disposition::Dead), dead);
            let failed = HandlerResult::Failed { reason, retry_after: None };
            assert_eq!(of(status, Disposition::Retry), failed);
        }
    }

    #[test]
    fn status_of_the_response_is_classified() {
        for status in [200, 204] {
            assert_eq!(classified(status), HandlerResult::Processed { status });
        }
        for status in [400, 404, 410, 422] {
            assert!(matches!(classified(status), HandlerResult::Dead { .. }), "{status}");
        }
        for status in [301, 408, 409, 425, 429, 500, 503] {
            assert!(matches!(classified(status), HandlerResult::Failed { .. }), "{status}");
        }
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let read = |value: &str| {
            let response = Response::builder().status(503).header(header::RETRY_AFTER, value);
            let result = classify_response(&response.body(()).unwrap(), now);
            let HandlerResult::Failed { retry_after, .. } = result else { panic!("not failed") };
            retry_after.map(|time| time.as_secs())
        };
        assert_eq!(read("120"), Some(120));
        assert_eq!(read("Sun, 06 Nov 1994 08:50:37 GMT"), Some(60));
        assert_eq!(read("Sun, 06 Nov 1994 08:40:37 GMT"), Some(0));
        assert_eq!((read("soon"), read("-1"), read("")), (None, None, None));
    }

    fn next(result: HandlerResult, attempt: u32) -> (Outcome, Duration) {
        let finished =
            Finished { attempt, age: SECOND, now: SystemTime::UNIX_EPOCH, inference: None };
        next_state(result, finished, &RetryPolicy::default().max_attempts(2), 1.0)
    }

    #[test]
    fn failed_attempt_is_retried_until_max_attempts() {
        let failed =
            || HandlerResult::failed(&"500").with_stated_reason(Some("no disk".to_owned()));
        let later = Outcome::failed_at(1, "500: no disk").due_at(SystemTime::UNIX_EPOCH + SECOND);
        assert_eq!(next(failed(), 1), (later, SECOND));
        let dead = Outcome::dead("500: no disk; gave up after 2 attempts");
        assert_eq!(next(failed(), 2), (dead, Duration::ZERO));
    }

    #[test]
    fn processed_and_dead_are_not_retried() {
        let processed =
            HandlerResult::Processed { status: 201 }.with_stated_reason(Some("x".into()));
        assert_eq!(next(processed, 9), (Outcome::processed(201), Duration::ZERO));
        let dead = HandlerResult::Dead { reason: "404".to_owned() };
        assert_eq!(next(dead, 1), (Outcome::dead("404"), Duration::ZERO));
    }
}
