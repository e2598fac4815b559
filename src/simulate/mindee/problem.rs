use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

/// An error of the API, in Mindee's format (`OpenAPI`, `ErrorResponse`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    /// The last three digits of Mindee's code, such as 1 in `422-001`. Not all codes are published.
    number: u16,
    title: &'static str,
    detail: String,
    /// The member of the request that is invalid.
    pointer: Option<&'static str>,
}

impl Problem {
    pub(super) fn unauthorized() -> Self {
        let detail = "Send the API key in the header Authorization, without a prefix.";
        Self::new(StatusCode::UNAUTHORIZED, 1, "Unauthorized", detail)
    }

    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, 1, "Not found", detail)
    }

    pub(super) fn too_many(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, 1, "Too many requests", detail)
    }

    /// A member of the request is missing or invalid.
    pub(super) fn invalid(pointer: &'static str, detail: impl Into<String>) -> Self {
        let invalid = Self::unprocessable(detail);
        Self { pointer: Some(pointer), ..invalid }
    }

    /// The request is invalid as a whole.
    pub(super) fn unprocessable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, 1, "Invalid request", detail)
    }

    pub(super) fn inference_failed() -> Self {
        let detail = "The simulated inference failed.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, 12, "Inference failed", detail)
    }

    /// The call of a webhook failed, for this reason.
    pub(super) fn webhook_failed(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, 20, "Webhook failed", reason)
    }

    fn new(
        status: StatusCode,
        number: u16,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self { status, number, title, detail: detail.into(), pointer: None }
    }

    pub(super) fn json(&self) -> Value {
        let errors: Vec<_> = self
            .pointer
            .iter()
            .map(|pointer| json!({"pointer": pointer, "detail": self.detail}))
            .collect();
        json!({
            "status": self.status.as_u16(),
            "title": self.title,
            "detail": self.detail,
            "code": format!("{}-{:03}", self.status.as_u16(), self.number),
            "errors": errors,
        })
    }

    pub(super) fn body(&self) -> Bytes {
        self.json().to_string().into()
    }
}
