//! RunPod serverless: jobs of your own workers.
//!
//! RunPod signs nothing, whatever public code calls `X-Runpod-Signature`: put a token into the URL. The job may hold
//! that URL, which is why it is [`Redacted`].
//!
//! The local server of RunPod's Python package, for tests (`--rp_serve_api`), posts the output of a job alone, without
//! `id` and `status`: the key is then the digest of the body. The parts of a stream, which it posts as a list, are not
//! decoded.
//!
//! Sources: the pages on sending requests and on job states in `runpod/docs`, read, for tries and statuses; the
//! members of a posted job are second-hand, from public receivers; what the local server posts is from the code of
//! `runpod-python` (`rp_fastapi.py`). Bodies are tested with our own.
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

    /// Expects 200; tries twice more, ten seconds apart (page on sending requests).
    const PROFILE: Profile = Profile::WANTS_200
        .on_client_error(OnClientError::Retries)
        .tried_for(Duration::from_secs(20));
}

open_enum! {
    /// How far a job has come (page on job states; `IN_PROGRESS` from its clients).
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
    /// Whether nothing will come after it.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled | Self::TimedOut)
    }
}

/// A job with an output of type `O`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Job<O = Value> {
    /// The id of the job. The local server of RunPod's Python package posts none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// How far it has come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// What the worker made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<O>,
    /// Why it failed: a text, or whatever the worker wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Value>,
    /// How long it waited, in milliseconds, as it came: that it is a whole number is second-hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_time: Option<Number>,
    /// How long it ran, in milliseconds, as it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution_time: Option<Number>,
    /// What the worker was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// The URL that it is posted to, with its token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Redacted>,
    /// Members that are not known here, as they came.
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

    /// `id`; before the end with `status` as the version.
    fn key(&self) -> InferenceKey {
        let id = self.id.as_deref().unwrap_or_default();
        match &self.status {
            Some(status) if !status.is_terminal() => InferenceKey::versioned(id, status.as_str()),
            _ => InferenceKey::new(id),
        }
    }

    /// The same, but without an id the digest of the body.
    fn key_of(&self, delivery: &Delivery) -> InferenceKey {
        match self.id {
            Some(_) => self.key(),
            None => InferenceKey::of_body(delivery),
        }
    }
}

/// An endpoint at RunPod, loaded into [`Job<O>`].
pub fn job<O: DeserializeOwned + Send + Sync + 'static>() -> ModelBuilder<Job<O>> {
    ModelBuilder::new()
}
