use serde::Serialize;

use super::ErrorResponse;
use crate::provider::{
    Listed, OtherMembers, Text,
    json::{open_enum, open_struct},
};

/// What enqueuing and polling return (Mindee's `OpenAPI`, `JobResponse`; fixtures `v2/job`). It is never posted.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct JobResponse {
    /// The job.
    pub job: JobDetails,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { JobResponse { job } }

/// A job, and how far it has come. Its times are RFC 3339 with microseconds but without a zone (fixtures).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct JobDetails {
    /// The id: that of `job` in the inference.
    pub id: Text,
    /// The model.
    pub model_id: Text,
    /// The name that the file was sent with.
    pub filename: Text,
    /// The caller's tag, echoed. Null or absent where none was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<Text>,
    /// When it was enqueued.
    pub created_at: Text,
    /// When it was done. Null before that, and absent before 2026-02-23 (history of the fixtures).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Text>,
    /// How far it has come.
    pub status: JobStatus,
    /// Where to ask again.
    pub polling_url: Text,
    /// Where the result is, once there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result_url: Option<Text>,
    /// The calls of webhooks. Empty until processing is finished.
    #[serde(skip_serializing_if = "Listed::is_absent")]
    pub webhooks: Listed<WebhookCall>,
    /// Why it failed, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorResponse>,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! {
    JobDetails {
        id, model_id, filename, alias, created_at, completed_at, status, polling_url, result_url, webhooks, error,
    }
}

/// A call of a webhook (Mindee's `OpenAPI`, `WebhookResponse`).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct WebhookCall {
    /// The id of the endpoint.
    pub id: Text,
    /// When it was called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Text>,
    /// What became of it. `Processing` where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<JobStatus>,
    /// Why it failed, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorResponse>,
    /// How often it was tried. In the `OpenAPI` only, not in fixtures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts_count: Option<u32>,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { WebhookCall { id, created_at, status, error, attempts_count } }

open_enum! {
    /// How far a job or the call of a webhook has come (Mindee's `OpenAPI`).
    pub enum JobStatus {
        /// Not done yet.
        Processing = "Processing",
        /// Done, without a result.
        Failed = "Failed",
        /// Done.
        Processed = "Processed",
    }
}
