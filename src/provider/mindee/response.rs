use std::{borrow::Cow, error::Error, fmt};

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, DeserializeOwned, IgnoredAny, Unexpected},
};
use serde_json::Value;

use super::{Mindee, Processed};
use crate::provider::{
    DecodeError, InferenceKey, Listed, OtherMembers, Payload, Text, decode_json,
    json::{open_enum, open_struct},
};

/// A delivery of Mindee V2: a processed inference with a result of type `R`, or a failed one.
///
/// The member `inference` identifies a processed inference, the member `inference_id` a failed one (fixtures
/// `v2/extraction/*` and `v2/webhook/failed.json`). It is serialized in Mindee's format.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Response<R> {
    /// A processed inference.
    Processed(Processed<R>),
    /// A failed inference.
    Failed(FailedInference),
}

impl<R> Response<R> {
    /// Returns the result, or the failed inference.
    ///
    /// # Errors
    ///
    /// If the inference failed.
    pub fn result(&self) -> Result<&R, &FailedInference> {
        match self {
            Self::Processed(processed) => Ok(&processed.result),
            Self::Failed(failed) => Err(failed),
        }
    }

    /// Returns the processed inference, unless it failed.
    pub fn processed(&self) -> Option<&Processed<R>> {
        match self {
            Self::Processed(processed) => Some(processed),
            Self::Failed(_) => None,
        }
    }

    /// Returns the failed inference, if it failed.
    pub fn failed(&self) -> Option<&FailedInference> {
        match self {
            Self::Processed(_) => None,
            Self::Failed(failed) => Some(failed),
        }
    }

    /// Returns the id of the inference, whether it failed or not.
    pub fn id(&self) -> &str {
        match self {
            Self::Processed(processed) => &processed.id,
            Self::Failed(failed) => &failed.inference_id,
        }
    }

    /// Returns the tag of the file, if it has one, whether the inference failed or not.
    pub fn alias(&self) -> Option<&str> {
        match self {
            Self::Processed(processed) => processed.file.alias.as_deref(),
            Self::Failed(failed) => failed.file_alias.as_deref(),
        }
    }
}

impl<R: DeserializeOwned + Send + Sync + 'static> Payload for Response<R> {
    type Provider = Mindee;

    fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        decode_json(body).map_err(|error| located(body, error))
    }

    /// `inference.id` or `inference_id`. Mindee sends no id of the delivery.
    fn key(&self) -> InferenceKey {
        InferenceKey::new(self.id())
    }

    /// `inference.job.id`, which enqueuing returned. A failed inference has no id but its own.
    fn requested_id(&self) -> Option<Cow<'_, str>> {
        let job = self.processed().and_then(|processed| processed.job.as_ref()?.id.as_deref());
        Some(Cow::Borrowed(job.unwrap_or(self.id())))
    }
}

/// The members of both variants, so that one pass decodes them in any order. Only `inference` has a type: members of a
/// failed inference next to it may have any type.
struct Wire<R> {
    inference: Option<Processed<R>>,
    other: OtherMembers,
}

open_struct! { Wire<R> {} strict { inference } }

impl<R> Wire<R> {
    fn into_response<E: de::Error>(self) -> Result<Response<R>, E> {
        if let Some(mut processed) = self.inference {
            processed.beside = self.other;
            return Ok(Response::Processed(processed));
        }
        if self.other.get("inference_id").is_none() {
            let expected = "an object with `inference`, or with `inference_id` of a failed one";
            return Err(E::invalid_value(Unexpected::Map, &expected));
        }
        self.other.read_as().map(Response::Failed).map_err(E::custom)
    }
}

/// The members that determine the variant.
#[derive(Deserialize)]
struct Peek {
    inference: Option<IgnoredAny>,
    inference_id: Option<IgnoredAny>,
}

/// Locates the error in the body of a failed inference by decoding its type.
fn located(body: &[u8], error: DecodeError) -> DecodeError {
    let is_failed =
        matches!(decode_json(body), Ok(Peek { inference: None, inference_id: Some(_) }));
    match decode_json::<FailedInference>(body) {
        Err(located) if is_failed => located,
        _ => error,
    }
}

impl<'de, R: Deserialize<'de>> Deserialize<'de> for Response<R> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        Wire::deserialize(json)?.into_response()
    }
}

impl<R: Serialize> Serialize for Response<R> {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Processed(processed) => {
                Posted { inference: processed, beside: &processed.beside }.serialize(json)
            }
            Self::Failed(failed) => failed.serialize(json),
        }
    }
}

#[derive(Serialize)]
#[serde(bound = "R: Serialize")]
struct Posted<'a, R> {
    inference: &'a Processed<R>,
    #[serde(flatten)]
    beside: &'a OtherMembers,
}

/// A failed inference without a result: a flat object, unlike a processed one (fixture `v2/webhook/failed.json`; in
/// Mindee's client libraries since July 2026).
///
/// It is an [`Error`] that shows the id of the inference and the error code, so that a handler can return it with `?`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FailedInference {
    /// The id of the inference. A failed inference has no job id.
    pub inference_id: Text,
    /// The id of the model. Null or absent if unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_id: Option<Text>,
    /// The name of the file as sent. Null or absent if it had none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_name: Option<Text>,
    /// The tag set by the caller. Null or absent if none was set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_alias: Option<Text>,
    /// The error. Optional in Mindee's documentation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorResponse>,
    /// The time, in RFC 3339 format with microseconds and `Z`. Nullable in Mindee's Node.js client library.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Text>,
    /// Unknown members.
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

/// An error in a format similar to RFC 9457 (Mindee's `OpenAPI`, `ErrorResponse`).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ErrorResponse {
    /// The HTTP status code, 100 to 599.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The title. Several errors share one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<Text>,
    /// The details: a string, or an object in one report (`mindee-api-java`, issue 72).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<Value>,
    /// Mindee's error code, such as `500-012`, which its support asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Text>,
    /// The individual errors. Empty if absent or null.
    #[serde(skip_serializing_if = "Listed::is_absent")]
    pub errors: Listed<ErrorItem>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { ErrorResponse { status, title, detail, code, errors } }

/// An individual error.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ErrorItem {
    /// The location in the request, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<Text>,
    /// What.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<Value>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { ErrorItem { pointer, detail } }

/// The response to enqueuing and polling (Mindee's `OpenAPI`, `JobResponse`; fixtures `v2/job`). It is never sent to a
/// webhook.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct JobResponse {
    /// The job.
    pub job: JobDetails,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { JobResponse { job } }

/// A job and its status. Its times are in RFC 3339 format with microseconds, but without a time zone (fixtures).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct JobDetails {
    /// The id, which is also in `job` of the inference.
    pub id: Text,
    /// The model.
    pub model_id: Text,
    /// The name of the file as sent.
    pub filename: Text,
    /// The tag set by the caller. Null or absent if none was set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<Text>,
    /// The time of enqueuing.
    pub created_at: Text,
    /// The end time. Null until then, and absent before 2026-02-23 (history of the fixtures).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Text>,
    /// The status.
    pub status: JobStatus,
    /// The URL for polling.
    pub polling_url: Text,
    /// The URL of the result, once there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result_url: Option<Text>,
    /// The webhook calls. Empty until processing has finished.
    #[serde(skip_serializing_if = "Listed::is_absent")]
    pub webhooks: Listed<WebhookCall>,
    /// The error, if it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorResponse>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! {
    JobDetails {
        id, model_id, filename, alias, created_at, completed_at, status, polling_url, result_url, webhooks, error,
    }
}

/// A webhook call (Mindee's `OpenAPI`, `WebhookResponse`).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct WebhookCall {
    /// The id of the endpoint.
    pub id: Text,
    /// The time of the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Text>,
    /// The status of the call. Absent means `Processing`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<JobStatus>,
    /// The error, if it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorResponse>,
    /// The number of attempts. In the `OpenAPI` description only, not in the fixtures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts_count: Option<u32>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { WebhookCall { id, created_at, status, error, attempts_count } }

open_enum! {
    /// The status of a job or of a webhook call (Mindee's `OpenAPI`).
    pub enum JobStatus {
        /// Being processed.
        Processing = "Processing",
        /// Failed.
        Failed = "Failed",
        /// Finished.
        Processed = "Processed",
    }
}
