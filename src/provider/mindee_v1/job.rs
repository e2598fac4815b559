use serde::Serialize;
use serde_json::Value;

use crate::provider::{OtherMembers, Text, members::open_struct, open_enum::open_enum};

/// A job, and how far it has come.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Job {
    /// What enqueuing returned.
    pub id: Text,
    /// When it was enqueued, without a zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<Text>,
    /// When its result was there, without a zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available_at: Option<Text>,
    /// How far it has come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<JobStatus>,
    /// What went wrong. Mindee writes an empty object where nothing did: see [`failure`](Self::failure).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<JobError>,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Job { id, issued_at, available_at, status, error } }

impl Job {
    /// What went wrong, if anything did.
    pub fn failure(&self) -> Option<&JobError> {
        self.error.as_ref().filter(|error| **error != JobError::default())
    }
}

/// What went wrong with a job; empty if nothing did (fixture `v1/async/get_failed_job_error.json`).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct JobError {
    /// A short name, such as `ServerError`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Text>,
    /// What happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Text>,
    /// More about it: a text in the fixture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { JobError { code, message, details } }

open_enum! {
    /// How far a job has come.
    pub enum JobStatus {
        /// Not begun yet.
        Waiting = "waiting",
        /// Begun.
        Processing = "processing",
        /// Done.
        Completed = "completed",
        /// Done, without a result.
        Failed = "failed",
    }
}
