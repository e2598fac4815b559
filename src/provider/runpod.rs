//! RunPod serverless: results of your own workers.
//!
//! RunPod does not sign requests, although public code mentions `X-Runpod-Signature`: put a token into the URL. A job
//! can contain that URL, which is therefore [`Redacted`].
//!
//! The local test server of RunPod's Python package (`--rp_serve_api`) sends only the output of a job, without `id` and
//! `status`: the key is then the digest of the body. The parts of a stream, which it sends as a list, are not
//! supported.
//!
//! Sources: the pages on sending requests and on job states in `runpod/docs`, for retries and statuses; public
//! receivers, for the members of a job; the code of `runpod-python` (`rp_fastapi.py`), for the local server. The tests
//! use bodies of our own.
//!
//! ```
//! use bytes::Bytes;
//! use tower_inbox::provider::{Payload, runpod::{Job, Status}};
//!
//! let body = Bytes::from_static(br#"{"id": "j1", "status": "COMPLETED", "delayTime": 12, "executionTime": 340,
//!     "output": {"text": "hello"}, "webhook": "https://example.com/hooks?token=hunter2"}"#);
//! let job = Job::<serde_json::Value>::decode(&body)?;
//! assert_eq!(job.status, Some(Status::Completed));
//! assert!(!format!("{job:?}").contains("hunter2"));
//! # Ok::<(), tower_inbox::provider::DecodeError>(())
//! ```

use std::time::Duration;

use bytes::Bytes;
use serde::{
    Serialize,
    de::{DeserializeOwned, Error},
};
use serde_json::{Number, Value};

use super::{
    DecodeError, InferenceKey, ModelBuilder, OnClientError, OtherMembers, Payload, Profile,
    Provider, Redacted, decode_json,
    json::{open_enum, open_struct},
};
use crate::delivery::Delivery;

/// RunPod.
#[derive(Clone, Copy, Debug)]
pub struct RunPod;

impl Provider for RunPod {
    const NAME: &'static str = "runpod";

    /// Expects 200. Two retries, 10 s apart (page on sending requests).
    const PROFILE: Profile = Profile::WANTS_200
        .on_client_error(OnClientError::Retries)
        .tried_for(Duration::from_secs(20));
}

open_enum! {
    /// The status of a job (page on job states; `IN_PROGRESS` from its clients).
    pub enum Status {
        InQueue = "IN_QUEUE",
        Running = "RUNNING",
        InProgress = "IN_PROGRESS",
        Completed = "COMPLETED",
        Failed = "FAILED",
        Cancelled = "CANCELLED",
        TimedOut = "TIMED_OUT",
    }
}

impl Status {
    /// Returns whether the status is final.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled | Self::TimedOut)
    }
}

/// A job with an output of type `O`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Job<O = Value> {
    /// The id of the job. The local server of RunPod's Python package sends none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// The output of the worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<O>,
    /// The error: a string, or another value that the worker returned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Value>,
    /// The time in the queue, in milliseconds. That it is an integer is second-hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_time: Option<Number>,
    /// The runtime, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution_time: Option<Number>,
    /// The input of the worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// The URL of the webhook, with its token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Redacted>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Job<O> {
    id, status, error, delay_time = "delayTime", execution_time = "executionTime", input, webhook
} strict { output } }

impl<O: DeserializeOwned + Send + Sync + 'static> Payload for Job<O> {
    type Provider = RunPod;

    fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        let job: Self = decode_json(body)?;
        if job.id.is_none() && job.output.is_none() && job.error.is_none() {
            return Err(DecodeError::new(None, Error::missing_field("id")));
        }
        Ok(job)
    }

    /// `id`; before a final status, with `status` as the version.
    fn key(&self) -> InferenceKey {
        let id = self.id.as_deref().unwrap_or_default();
        match &self.status {
            Some(status) if !status.is_terminal() => InferenceKey::versioned(id, status.as_str()),
            _ => InferenceKey::new(id),
        }
    }

    /// The same key; without an id, the digest of the body.
    fn key_of(&self, delivery: &Delivery) -> InferenceKey {
        match self.id {
            Some(_) => self.key(),
            None => InferenceKey::of_body(delivery),
        }
    }
}

/// Starts a model for an endpoint at RunPod, decoded to [`Job<O>`].
pub fn job<O: DeserializeOwned + Send + Sync + 'static>() -> ModelBuilder<Job<O>> {
    ModelBuilder::new()
}
