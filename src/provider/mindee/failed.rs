use std::{error::Error, fmt};

use serde::Serialize;
use serde_json::Value;

use crate::provider::{Listed, OtherMembers, Text, members::open_struct};

/// An inference that failed before there was a result: a flat object, unlike a processed one
/// (fixture `v2/webhook/failed.json`; in Mindee's client libraries since July 2026).
///
/// It is an [`Error`] that shows the ids of inference and problem, so that a handler can give it on with `?`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FailedInference {
    /// The id of the inference. There is none of the job.
    pub inference_id: Text,
    /// The id of the model. Null or absent where it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_id: Option<Text>,
    /// The name that the file was sent with. Null or absent where it had none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_name: Option<Text>,
    /// The caller's tag, echoed. Null or absent where none was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_alias: Option<Text>,
    /// Why it failed. Mindee's documentation calls it optional.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorResponse>,
    /// When, as RFC 3339 with microseconds and `Z`. Null in Mindee's Node.js client library.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Text>,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { FailedInference { inference_id, model_id, file_name, file_alias, error, created_at } }

impl fmt::Display for FailedInference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the inference {} failed", self.inference_id)?;
        let Some(error) = &self.error else { return Ok(()) };
        match (&error.code, &error.title) {
            (Some(code), Some(title)) => write!(f, ": {code} {title}"),
            (Some(word), None) | (None, Some(word)) => write!(f, ": {word}"),
            (None, None) => Ok(()),
        }
    }
}

impl Error for FailedInference {}

/// A problem as Mindee describes it, much like RFC 9457 (Mindee's `OpenAPI`, `ErrorResponse`).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ErrorResponse {
    /// A status code of HTTP, 100 to 599.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// A short name. Several problems share one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<Text>,
    /// What happened: a text, or an object in one report (`mindee-api-java`, issue 72).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<Value>,
    /// Mindee's own code, such as `500-012`: what its support asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Text>,
    /// What is wrong in particular. Empty where it is absent or null.
    #[serde(skip_serializing_if = "Listed::is_absent")]
    pub errors: Listed<ErrorItem>,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { ErrorResponse { status, title, detail, code, errors } }

/// One mistake of a problem.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ErrorItem {
    /// Where in the request, if it was there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<Text>,
    /// What.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<Value>,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { ErrorItem { pointer, detail } }
