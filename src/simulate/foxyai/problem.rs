use bytes::Bytes;
use http::StatusCode;
use serde_json::json;

/// An error of the API. FoxyAI's format is not published: a status and a message is an assumption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    message: String,
}

impl Problem {
    pub(super) fn unauthorized() -> Self {
        let message = "Send the API key in the header Authorization, after the word Bearer.";
        Self::new(StatusCode::UNAUTHORIZED, message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    pub(super) fn too_many(message: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, message)
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    pub(super) fn body(&self) -> Bytes {
        json!({"statusCode": self.status.as_u16(), "message": self.message}).to_string().into()
    }
}
