//! RunPod serverless: jobs of your own workers.
//!
//! RunPod signs nothing, whatever public code calls `X-Runpod-Signature`: put a token into the URL. The job may hold
//! that URL, which is why it is [`Hidden`].
//!
//! Sources: the pages on sending requests and on job states in `runpod/docs`, read, for tries and statuses; the
//! members of a posted job are second-hand, from public receivers. Bodies are tested with our own.
//!
//! ```
//! use bytes::Bytes;
//! use tower_inbox::provider::{Payload, runpod::{Job, Status}};
//!
//! let body = Bytes::from_static(br#"{"id": "j1", "status": "COMPLETED", "delayTime": 12, "executionTime": 340,
//!     "output": {"text": "hello"}, "webhook": "https://example.com/hooks?token=hunter2"}"#);
//! let job = Job::<serde_json::Value>::decode(&body)?;
//! assert_eq!(job.status, Status::Completed);
//! assert!(!format!("{job:?}").contains("hunter2"));
//! # Ok::<(), tower_inbox::provider::DecodeError>(())
//! ```

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Number, Value};

use super::{
    DecodeError, Hidden, InferenceKey, ModelDraft, OnClientError, OtherMembers, Payload, Profile,
    Provider, decode_json, words::words,
};

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

words! {
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Job<O = Value> {
    /// The id of the job.
    pub id: String,
    /// How far it has come.
    pub status: Status,
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
    pub webhook: Option<Hidden>,
    /// Members that are not known here, as they came.
    #[serde(flatten)]
    pub other: OtherMembers,
}

impl<O: DeserializeOwned + Send + Sync + 'static> Payload for Job<O> {
    type Provider = RunPod;

    fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        decode_json(body)
    }

    /// `id`; before the end with `status` as the version.
    fn key(&self) -> InferenceKey {
        if self.status.is_terminal() {
            InferenceKey::new(&self.id)
        } else {
            InferenceKey::versioned(&self.id, self.status.as_str())
        }
    }
}

/// An endpoint at RunPod, loaded into [`Job<O>`].
pub fn job<O: DeserializeOwned + Send + Sync + 'static>() -> ModelDraft<Job<O>> {
    ModelDraft::new()
}
