use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use serde::Serialize;

use super::metrics;
use crate::{archive::ArchiveError, signature::SignatureError};

/// After how many seconds a sender may try again that was refused because of us.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

/// RFC 9110, section 11.6.1, asks for one with every 401. No scheme of signatures is registered.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Webhook-Signature");

/// Why the inbox answered instead of the service inside. In the response's extensions, for outer layers.
///
/// The answer itself is `application/problem+json` (RFC 9457) and tells a stranger less than this does.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No model has this path, which is below a claimed prefix: 404.
    #[error("no model has this path")]
    NoModel,
    /// The endpoint was removed: 410. It makes senders stop.
    #[error("the endpoint was removed")]
    Removed,
    /// The model takes another method: 405.
    #[error("the endpoint takes another method")]
    Method {
        /// The methods that it takes.
        allow: Vec<Method>,
    },
    /// The body is longer than the model takes: 413.
    #[error("the body is longer than {limit} bytes; the limit is Model::body_limit")]
    TooLong {
        /// The longest body, in bytes.
        limit: usize,
    },
    /// The body took longer than the model waits: 408.
    #[error("the body took longer than {deadline:?}; the limit is Model::body_deadline")]
    TooSlow {
        /// How long a body may take.
        deadline: Duration,
    },
    /// The body ended before it was whole: 400, if anybody still listens.
    #[error("the body was cut off")]
    CutOff,
    /// There are more bytes in flight than the inbox takes: 503.
    #[error("more bytes are in flight than the inbox takes; the limit is bytes_in_flight")]
    Overloaded,
    /// The sender could not be proved: 401.
    #[error("the signature was refused")]
    Signature(#[source] SignatureError),
    /// More repeats of one delivery wait for the first to be handled than the inbox lets wait: 503.
    #[error("too many repeats wait for the first delivery of the same bytes to be handled")]
    Crowded,
    /// Somebody is handling the delivery, or another one of the same inference: 503, which only a worker sees.
    #[error("the inference is being handled already")]
    InHand,
    /// The process ended too often while the delivery was handled, and it is dead: 500.
    #[error("the process ended too often while the delivery was handled: it is put aside as dead")]
    PutAside,
    /// The delivery could not be made durable: 503. It may be found in the archive all the same.
    #[error("the delivery could not be archived")]
    Archive(#[source] Arc<ArchiveError>),
    /// The delivery is archived, but the archive cannot tell what became of it: 503.
    #[error("the delivery is archived, but its outcome cannot be read")]
    Unreadable(#[source] Arc<ArchiveError>),
    /// The server is shutting down: 503.
    #[error("the server is stopping")]
    Stopping,
    /// The delivery is archived, but is not of the model's type: 422, or 202 by the provider's profile.
    #[error("the delivery is archived, but {reason}")]
    Undecodable {
        /// Where in the body, as a JSON path.
        path: String,
        /// Where and what, without a value of the body.
        reason: String,
        /// The status by the provider's profile.
        status: StatusCode,
    },
    /// The handler outlived its deadline, and was stopped: 500. A sender sees it only where `answer_within` is longer.
    #[error("the handler took longer than its deadline")]
    HandlerTooSlow,
    /// The handler, or a layer before it, panicked: 500.
    #[error("the handler panicked")]
    Panicked,
}

impl Refusal {
    /// The status that is answered.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NoModel => StatusCode::NOT_FOUND,
            Self::Removed => StatusCode::GONE,
            Self::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::CutOff => StatusCode::BAD_REQUEST,
            Self::Overloaded
            | Self::Crowded
            | Self::InHand
            | Self::Archive(_)
            | Self::Unreadable(_)
            | Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            Self::Signature(_) => StatusCode::UNAUTHORIZED,
            Self::Undecodable { status, .. } => *status,
            Self::Panicked | Self::PutAside | Self::HandlerTooSlow => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }
    }

    /// What a stranger is told. It does not help to guess a secret, and shows nothing of the body or of our insides.
    fn detail(&self) -> String {
        match self {
            Self::Signature(_) => "the sender could not be verified".to_owned(),
            _ if self.status() == StatusCode::SERVICE_UNAVAILABLE => "try again later".to_owned(),
            Self::TooLong { limit } => format!("the body is longer than {limit} bytes"),
            Self::TooSlow { .. } => "the body took too long".to_owned(),
            Self::Panicked | Self::PutAside | Self::HandlerTooSlow => {
                "the delivery could not be handled".to_owned()
            }
            other => other.to_string(),
        }
    }

    /// One word for it, for metrics.
    fn reason(&self) -> &'static str {
        match self {
            Self::NoModel => "no-model",
            Self::Removed => "removed",
            Self::Method { .. } => "method",
            Self::TooLong { .. } => "too-long",
            Self::TooSlow { .. } => "too-slow",
            Self::CutOff => "cut-off",
            Self::Overloaded => "overloaded",
            Self::Signature(_) => "signature",
            Self::Crowded => "crowded",
            Self::InHand => "in-hand",
            Self::PutAside => "put-aside",
            Self::Archive(_) => "archive",
            Self::Unreadable(_) => "unreadable",
            Self::Stopping => "stopping",
            Self::Undecodable { .. } => "undecodable",
            Self::HandlerTooSlow => "handler-too-slow",
            Self::Panicked => "panicked",
        }
    }

    fn path(&self) -> Option<&str> {
        match self {
            Self::Undecodable { path, .. } => Some(path),
            _ => None,
        }
    }

    /// Tells the log, and gives the answer with the refusal in its extensions.
    pub(super) fn refuse(self) -> Response<Bytes> {
        self.log();
        metrics::refused(self.reason());
        let mut response = Response::new(self.problem());
        *response.status_mut() = self.status();
        response.headers_mut().extend(self.headers());
        response.extensions_mut().insert(self);
        response
    }

    fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        // A 202 is not a problem: some gateways count those.
        let is_problem = !self.status().is_success();
        let form = if is_problem { "application/problem+json" } else { "application/json" };
        let mut headers = vec![(header::CONTENT_TYPE, HeaderValue::from_static(form))];
        match self.status() {
            StatusCode::SERVICE_UNAVAILABLE => headers.push((header::RETRY_AFTER, RETRY_AFTER)),
            StatusCode::UNAUTHORIZED => headers.push((header::WWW_AUTHENTICATE, CHALLENGE)),
            _ => {}
        }
        if let Self::Method { allow } = self {
            headers.push((header::ALLOW, allow_value(allow)));
        }
        headers
    }

    fn problem(&self) -> Bytes {
        let status = self.status();
        let problem = Problem {
            title: status.canonical_reason().unwrap_or("Refused"),
            status: status.as_u16(),
            detail: self.detail(),
            path: self.path(),
        };
        serde_json::to_vec(&problem).unwrap_or_default().into()
    }

    /// Tells the log: our own faults as errors, what looks wrong at the sender as warnings, the rest for information.
    fn log(&self) {
        let status = self.status().as_u16();
        match self {
            Self::Archive(cause) | Self::Unreadable(cause) => {
                tracing::error!(status, cause = &**cause as &dyn std::error::Error, "{self}");
            }
            Self::Panicked | Self::PutAside | Self::HandlerTooSlow => {
                tracing::error!(status, "{self}");
            }
            Self::Signature(cause) => tracing::warn!(status, %cause, "{self}"),
            Self::InHand => tracing::debug!(status, "{self}"),
            Self::Overloaded | Self::Crowded | Self::Undecodable { .. } => {
                tracing::warn!(status, "{self}");
            }
            _ => tracing::info!(status, "{self}"),
        }
    }
}

/// RFC 9457, section 3. Without a `type` a problem is no more than its status.
#[derive(Serialize)]
struct Problem<'a> {
    title: &'a str,
    status: u16,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
}

fn allow_value(methods: &[Method]) -> HeaderValue {
    let names: Vec<_> = methods.iter().map(Method::as_str).collect();
    HeaderValue::from_str(&names.join(", ")).unwrap_or(HeaderValue::from_static("POST"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::Place;

    #[test]
    fn a_stranger_is_not_told_what_was_wrong_with_the_signature() {
        let cause = SignatureError::Mismatch { place: Place::Query("x-signature".to_owned()) };
        let response = Refusal::Signature(cause).refuse();
        assert_eq!(response.status(), 401);
        assert_eq!(response.headers()["www-authenticate"], "Webhook-Signature");
        let body = String::from_utf8(response.into_body().to_vec()).unwrap();
        assert!(!body.contains("x-signature") && !body.contains("secret"), "{body}");
    }

    #[test]
    fn another_method_is_told_which_one_is_allowed() {
        let allow = vec![Method::POST, Method::PUT];
        let response = Refusal::Method { allow }.refuse();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["allow"]),
            (405, &"POST, PUT".parse().unwrap())
        );
    }

    #[test]
    fn our_own_faults_ask_to_try_again() {
        let response = Refusal::Archive(Arc::new(ArchiveError::Overloaded)).refuse();
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["retry-after"], "5");
    }
}
