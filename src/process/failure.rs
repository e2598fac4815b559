use std::{borrow::Cow, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{Response, header};
use http_body::Body;

use super::{BoxError, ResponseBody};
use crate::delivery::one_line;

/// Why a handler failed. Put it into the extensions of the response; the reason is stored with the outcome.
///
/// Without it, a short `text/plain` or `application/problem+json` body of the response is the reason, of a problem its
/// `detail` or `title`. At most 512 bytes are stored, with control characters escaped. Do not put values of the payload
/// in it: it is logged, and shown by `inbox dead`.
///
/// ```
/// use http::{Response, StatusCode};
/// use tower_inbox::layer::Failure;
///
/// let mut response = Response::new(String::new());
/// *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
/// response.extensions_mut().insert(Failure::new("the ledger database is down"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    reason: Cow<'static, str>,
}

impl Failure {
    /// Creates a failure with this reason. At most 512 bytes are stored.
    pub fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { reason: reason.into() }
    }

    /// The reason.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

/// The longest body that is read for a reason, in bytes.
const MAX_BODY: u64 = 4096;

/// How long the body of a failure may take. A handler that fails should not keep its lease by streaming.
const BODY_TIMEOUT: Duration = Duration::from_secs(1);

/// The reason that the response of a failed handler states, and the response with its body intact.
pub(crate) async fn stated_reason<R>(
    response: Response<R>,
) -> (Option<String>, Response<ResponseBody>)
where
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    if let Some(failure) = response.extensions().get::<Failure>() {
        return (Some(one_line(&failure.reason)), response.map(ResponseBody::new));
    }
    let Some(form) = Form::of(&response) else {
        return (None, response.map(ResponseBody::new));
    };
    let (parts, body) = response.into_parts();
    let Ok(Some(bytes)) = tokio::time::timeout(BODY_TIMEOUT, read(body)).await else {
        return (None, Response::from_parts(parts, ResponseBody::default()));
    };
    let reason = form.reason(&bytes).map(|reason| one_line(&reason));
    let reason = reason.filter(|reason| !reason.is_empty());
    (reason, Response::from_parts(parts, ResponseBody::full(bytes)))
}

/// A short body that may be a reason.
#[derive(Clone, Copy)]
enum Form {
    Text,
    Problem,
}

impl Form {
    fn of<R: Body>(response: &Response<R>) -> Option<Self> {
        let size = response.body().size_hint().exact()?;
        let value = response.headers().get(header::CONTENT_TYPE)?.to_str().ok()?;
        let media_type = value.split(';').next().unwrap_or(value).trim();
        match media_type {
            _ if size == 0 || size > MAX_BODY => None,
            "text/plain" => Some(Self::Text),
            "application/problem+json" => Some(Self::Problem),
            _ => None,
        }
    }

    fn reason(self, body: &[u8]) -> Option<String> {
        match self {
            Self::Text => Some(String::from_utf8_lossy(body).into_owned()),
            Self::Problem => {
                let problem: serde_json::Value = serde_json::from_slice(body).ok()?;
                let text = |name| problem.get(name).and_then(serde_json::Value::as_str);
                text("detail").or_else(|| text("title")).map(str::to_owned)
            }
        }
    }
}

/// The whole body; None if it fails or is longer than it said.
async fn read<R: Body<Data = Bytes>>(body: R) -> Option<Bytes> {
    let mut body = std::pin::pin!(body);
    let mut bytes = BytesMut::new();
    while let Some(frame) = std::future::poll_fn(|context| body.as_mut().poll_frame(context)).await
    {
        if let Ok(data) = frame.ok()?.into_data() {
            bytes.extend_from_slice(&data);
        }
        if bytes.len() as u64 > MAX_BODY {
            return None;
        }
    }
    Some(bytes.freeze())
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full};

    use super::*;

    async fn stated(response: http::response::Builder, body: &str) -> (Option<String>, String) {
        let body = Full::new(Bytes::copy_from_slice(body.as_bytes()));
        let (reason, response) = stated_reason(response.body(body).unwrap()).await;
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (reason, String::from_utf8(body.to_vec()).unwrap())
    }

    fn of_type(media_type: &str) -> http::response::Builder {
        Response::builder().status(500).header("content-type", media_type)
    }

    #[tokio::test]
    async fn failure_in_the_extensions_is_the_reason() {
        let response = of_type("text/plain").extension(Failure::new("the\ndisk"));
        let (reason, body) = stated(response, "text").await;
        assert_eq!((reason.as_deref(), body.as_str()), (Some(r"the\ndisk"), "text"));
    }

    #[tokio::test]
    async fn short_text_and_problem_bodies_are_reasons_and_stay_in_the_response() {
        let (reason, body) = stated(of_type("text/plain; charset=utf-8"), "no database").await;
        assert_eq!((reason.as_deref(), body.as_str()), (Some("no database"), "no database"));
        let problem = r#"{"title": "t", "detail": "no database"}"#;
        let (reason, body) = stated(of_type("application/problem+json"), problem).await;
        assert_eq!((reason.as_deref(), body.as_str()), (Some("no database"), problem));
    }

    #[tokio::test]
    async fn other_and_long_bodies_are_not_reasons_and_stay_in_the_response() {
        let long = "x".repeat(5000);
        for (media_type, body) in [
            ("text/html", "<p>"),
            ("application/problem+json", "{"),
            ("text/plain", ""),
            ("text/plain", &long),
        ] {
            let (reason, returned) = stated(of_type(media_type), body).await;
            assert_eq!((reason, returned.as_str()), (None, body), "{media_type}");
        }
    }
}
