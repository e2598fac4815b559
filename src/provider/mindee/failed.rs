use std::{error::Error, fmt};

use serde::{Deserialize, Serialize};

use crate::provider::Listed;

/// An inference that failed before there was a result: a flat object, unlike a processed one
/// (fixture `v2/webhook/failed.json`; in Mindee's client libraries since July 2026).
///
/// It is an [`Error`] that shows the ids of inference and problem, so that a handler can give it on with `?`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FailedInference {
    /// The id of the inference. There is none of the job.
    pub inference_id: String,
    /// The id of the model.
    pub model_id: String,
    /// The name that the file was sent with.
    pub file_name: String,
    /// The caller's tag, echoed. Null or absent where none was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_alias: Option<String>,
    /// Why it failed. Mindee's documentation calls it optional.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorResponse>,
    /// When, as RFC 3339 with microseconds and `Z`.
    pub created_at: String,
}

impl fmt::Display for FailedInference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the inference {} failed", self.inference_id)?;
        match &self.error {
            Some(error) => write!(f, ": {} {}", error.code, error.title),
            None => Ok(()),
        }
    }
}

impl Error for FailedInference {}

/// A problem as Mindee describes it, much like RFC 9457 (Mindee's `OpenAPI`, `ErrorResponse`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ErrorResponse {
    /// A status code of HTTP, 100 to 599.
    pub status: u16,
    /// A short name. Several problems share one.
    pub title: String,
    /// What happened.
    pub detail: String,
    /// Mindee's own code, such as `500-012`: what its support asks for.
    pub code: String,
    /// What is wrong in particular. Empty where it is absent or null.
    #[serde(default, skip_serializing_if = "Listed::is_absent")]
    pub errors: Listed<ErrorItem>,
}

/// One mistake of a problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ErrorItem {
    /// Where in the request, if it was there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// What.
    pub detail: String,
}
