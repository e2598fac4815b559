use serde::Serialize;

use super::ErrorResponse;
use crate::provider::{
    Listed, OtherMembers, Text,
    json::{open_enum, open_struct},
};

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
