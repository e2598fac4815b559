use std::{net::IpAddr, sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use serde::Serialize;

use super::ResponseBody;
use crate::{
    archive::ArchiveError,
    delivery::ModelName,
    log_limit::LogLimits,
    metrics,
    signature::{SignatureError, doctor::HeadFinding},
};

/// The `Retry-After` of a 503, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

/// The challenge that RFC 9110, section 11.6.1, requires with a 401. No scheme for signatures is registered.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Webhook-Signature");

/// Why the inbox responded instead of the inner service. In the response extensions.
///
/// The response body is `application/problem+json` (RFC 9457). It contains less detail than this type, because anybody
/// can cause it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// No model has this path, which is below a reserved prefix: 404.
    #[error("no model has this path")]
    NoModel,
    /// The endpoint was removed: 410.
    #[error("the endpoint was removed")]
    Removed,
    /// The model does not accept the method: 405.
    #[error("the endpoint does not accept this method")]
    #[non_exhaustive]
    Method {
        /// The accepted methods.
        allow: Vec<Method>,
    },
    /// The body is longer than the model accepts: 413.
    #[error(
        "the body is longer than {limit} bytes; raise Model::body_limit if the provider sends such bodies"
    )]
    #[non_exhaustive]
    TooLong {
        /// The maximum length, in bytes.
        limit: usize,
    },
    /// The body did not arrive in time: 408.
    #[error("the body did not arrive within {timeout:?}, the limit of Model::body_timeout")]
    #[non_exhaustive]
    TooSlow {
        /// The maximum time for a body.
        timeout: Duration,
    },
    /// Less of the body arrived in 10 s than [`Model::min_body_rate`](crate::Model::min_body_rate) requires: 408.
    #[error(
        "less than {rate} bytes of the body arrived per second, the limit of Model::min_body_rate"
    )]
    #[non_exhaustive]
    BelowMinimumRate {
        /// The minimum rate, in bytes per second.
        rate: usize,
    },
    /// The body ended before it was complete: 400.
    #[error("the body was cut off")]
    CutOff,
    /// The limit for bytes in flight, or the share of the model, is reached: 503. See [`Budget`](crate::layer::Budget).
    #[error("the limit of bytes in flight is reached")]
    Overloaded,
    /// The sender could not be verified: 401.
    #[error("the signature was rejected")]
    Signature(#[source] SignatureError),
    /// Too many requests wait for the result of the same delivery or inference: 503.
    #[error("too many requests wait for the same delivery or inference")]
    TooManyWaiting,
    /// The delivery is dead because the process crashed too often during processing: 500.
    #[error("the delivery is dead because the process crashed too often during processing")]
    Poisoned,
    /// The delivery could not be archived: 503. It may be in the archive all the same.
    #[error("the delivery could not be archived")]
    Archive(#[source] Arc<ArchiveError>),
    /// The delivery is archived, but its state could not be read or changed: 503.
    #[error("the delivery is archived, but its state could not be read or changed")]
    State(#[source] Arc<ArchiveError>),
    /// The server is shutting down: 503.
    #[error("the server is shutting down")]
    Stopping,
    /// The delivery is archived, but its body is not of the model's type: 422, or 202 by the provider's profile.
    #[error("the delivery is archived, but {reason}")]
    #[non_exhaustive]
    Undecodable {
        /// The JSON path in the body.
        path: String,
        /// The path and the reason, without a value of the body.
        reason: String,
        /// The status by the provider's profile.
        status: StatusCode,
    },
    /// The handler did not return in time and was stopped: 500.
    #[error("the handler did not return within its timeout")]
    HandlerTimeout,
    /// The handler, or a layer before it, panicked: 500.
    #[error("the handler panicked")]
    Panicked,
    /// The lease of the delivery was lost during processing, so that another process runs it: 503.
    #[error("the lease of the delivery was lost")]
    LeaseLost,
}

/// The known properties of a rejected request, for its log line and metrics.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RejectedRequest<'a> {
    pub(crate) model: Option<&'a ModelName>,
    /// The address of the client.
    pub(crate) peer: Option<IpAddr>,
    /// The finding of the doctor in the head. Only the log contains it.
    pub(crate) finding: Option<&'a HeadFinding>,
    /// None logs every rejection.
    pub(crate) limits: Option<&'a LogLimits>,
}

impl RejectedRequest<'_> {
    /// As [`LogLimit::admit`](crate::log_limit::LogLimit::admit).
    fn admit(&self, reason: &'static str) -> Option<u64> {
        self.limits.map_or(Some(0), |limits| limits.admit(reason))
    }
}

impl Rejection {
    /// The status of the response.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NoModel => StatusCode::NOT_FOUND,
            Self::Removed => StatusCode::GONE,
            Self::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow { .. } | Self::BelowMinimumRate { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::CutOff => StatusCode::BAD_REQUEST,
            Self::Overloaded
            | Self::TooManyWaiting
            | Self::Archive(_)
            | Self::State(_)
            | Self::LeaseLost
            | Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            Self::Signature(_) => StatusCode::UNAUTHORIZED,
            Self::Undecodable { status, .. } => *status,
            Self::Panicked | Self::Poisoned | Self::HandlerTimeout => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }
    }

    /// The text for the sender. It does not help to guess a secret, and contains nothing of the body or of internals.
    fn detail(&self) -> String {
        match self {
            Self::Signature(_) => "the sender could not be verified".to_owned(),
            _ if self.status() == StatusCode::SERVICE_UNAVAILABLE => "try again later".to_owned(),
            Self::TooLong { limit } => format!("the body is longer than {limit} bytes"),
            Self::TooSlow { .. } | Self::BelowMinimumRate { .. } => {
                "the body took too long".to_owned()
            }
            Self::Panicked | Self::Poisoned | Self::HandlerTimeout => {
                "the delivery could not be processed".to_owned()
            }
            other => other.to_string(),
        }
    }

    /// The label in metrics.
    fn label(&self) -> &'static str {
        match self {
            Self::NoModel => "no-model",
            Self::Removed => "removed",
            Self::Method { .. } => "method",
            Self::TooLong { .. } => "too-long",
            Self::TooSlow { .. } => "too-slow",
            Self::BelowMinimumRate { .. } => "below-minimum-rate",
            Self::CutOff => "cut-off",
            Self::Overloaded => "overloaded",
            Self::Signature(_) => "signature",
            Self::TooManyWaiting => "too-many-waiting",
            Self::Poisoned => "poisoned",
            Self::Archive(_) => "archive",
            Self::State(_) => "state",
            Self::Stopping => "stopping",
            Self::Undecodable { .. } => "undecodable",
            Self::HandlerTimeout => "handler-timeout",
            Self::Panicked => "panicked",
            Self::LeaseLost => "lease-lost",
        }
    }

    fn path(&self) -> Option<&str> {
        match self {
            Self::Undecodable { path, .. } => Some(path),
            _ => None,
        }
    }

    /// Logs and counts the rejection, and returns the response with `self` in its extensions. Where the request is
    /// known, use [`reject_request`](Self::reject_request).
    pub(crate) fn reject(self) -> Response<ResponseBody> {
        self.reject_request(&RejectedRequest::default())
    }

    /// The same, with the known properties of the request.
    pub(crate) fn reject_request(self, request: &RejectedRequest<'_>) -> Response<ResponseBody> {
        if let Some(suppressed) = request.admit(self.label()) {
            self.log(request, suppressed);
        }
        metrics::rejected(request.model, self.label());
        let mut response = Response::new(ResponseBody::full(self.problem()));
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

    fn problem(&self) -> Vec<u8> {
        let status = self.status();
        let problem = Problem {
            title: status.canonical_reason().unwrap_or("Rejected"),
            status: status.as_u16(),
            detail: self.detail(),
            path: self.path(),
        };
        serde_json::to_vec(&problem).unwrap_or_default()
    }

    /// Server errors are logged at `ERROR`, probable mistakes of the sender at `WARN`, the rest at `INFO`.
    ///
    /// `suppressed` lines for the same reason were left out before this one.
    fn log(&self, request: &RejectedRequest<'_>, suppressed: u64) {
        let status = self.status().as_u16();
        let peer = request.peer.map(tracing::field::display);
        let suppressed = Some(suppressed).filter(|lines| *lines > 0);
        match self {
            Self::Archive(cause) if cause.is_logged() => {
                tracing::debug!(status, cause = &**cause as &dyn std::error::Error, "{self}");
            }
            Self::Archive(cause) | Self::State(cause) => {
                let cause = &**cause as &dyn std::error::Error;
                tracing::error!(status, peer, suppressed, cause, "{self}");
            }
            Self::Panicked | Self::Poisoned | Self::HandlerTimeout | Self::LeaseLost => {
                tracing::error!(status, peer, suppressed, "{self}");
            }
            Self::Signature(cause) => {
                let finding = request.finding.map(tracing::field::display);
                tracing::warn!(status, peer, suppressed, %cause, finding, "{self}");
            }
            Self::Overloaded | Self::TooManyWaiting | Self::Undecodable { .. } => {
                tracing::warn!(status, peer, suppressed, "{self}");
            }
            _ => tracing::info!(status, peer, suppressed, "{self}"),
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
    use http_body_util::BodyExt;

    use super::*;
    use crate::{log_limit::collect_log, signature::Place};

    fn mismatch() -> Rejection {
        Rejection::Signature(SignatureError::Mismatch { place: Place::Query("s".to_owned()) })
    }

    #[test]
    fn log_line_of_a_rejection_names_the_peer_and_counts_suppressed_lines() {
        let peer = Some("2001:db8::7".parse().unwrap());
        let request = RejectedRequest { peer, ..RejectedRequest::default() };
        for rejection in [mismatch(), Rejection::NoModel, Rejection::Overloaded] {
            let line = collect_log(|| rejection.log(&request, 12));
            assert!(
                line.contains(" peer=2001:db8::7 ") && line.contains(" suppressed=12"),
                "{line}"
            );
            let line = collect_log(|| rejection.log(&RejectedRequest::default(), 0));
            assert!(!line.contains("peer") && !line.contains("suppressed"), "{line}");
        }
    }

    #[test]
    fn rejections_of_one_reason_do_not_suppress_those_of_another() {
        let limits = LogLimits::default();
        let request = RejectedRequest { limits: Some(&limits), ..RejectedRequest::default() };
        let log = collect_log(|| {
            (0..1000).for_each(|_| drop(mismatch().reject_request(&request)));
            drop(Rejection::Overloaded.reject_request(&request));
        });
        // More only if this takes longer than ten seconds.
        assert!(log.matches("signature was rejected").count() < 1000 / 10, "{log}");
        assert!(log.contains("the limit of bytes in flight is reached"), "{log}");
    }

    #[tokio::test]
    async fn response_to_an_invalid_signature_does_not_reveal_the_reason() {
        let cause = SignatureError::Mismatch { place: Place::Query("x-signature".to_owned()) };
        let response = Rejection::Signature(cause).reject();
        assert_eq!(response.status(), 401);
        assert_eq!(response.headers()["www-authenticate"], "Webhook-Signature");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert!(!body.contains("x-signature") && !body.contains("secret"), "{body}");
    }

    #[test]
    fn response_to_another_method_lists_the_allowed_ones() {
        let allow = vec![Method::POST, Method::PUT];
        let response = Rejection::Method { allow }.reject();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["allow"]),
            (405, &"POST, PUT".parse().unwrap())
        );
    }

    #[test]
    fn unavailable_archive_is_a_503_with_retry_after() {
        let response = Rejection::Archive(Arc::new(ArchiveError::Overloaded)).reject();
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["retry-after"], "5");
    }
}
