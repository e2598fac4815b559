//! Replicate: any model of its catalogue, the result of any shape.
//!
//! One secret serves a whole account; `GET /v1/webhooks/default/secret` tells it. A prediction is posted as a whole at
//! each event that was asked for (`start`, `output`, `logs`, `completed`), late and repeated ones among them: once a
//! terminal state came, earlier ones mean nothing. Files in the output are URLs that expire.
//!
//! Sources: Replicate's pages on webhooks and `replicate-javascript`, both read. The signature is that of Standard
//! Webhooks, verified with the vector of its specification; the shape of a prediction is that of Replicate's pages.
//!
//! ```
//! use bytes::Bytes;
//! use tower_inbox::provider::{Payload, replicate::{Prediction, Status}};
//!
//! let body = Bytes::from_static(br#"{"id": "p1", "version": "v1", "status": "succeeded",
//!     "input": {"text": "Alice"}, "output": ["https://example.com/out.png"], "error": null}"#);
//! let prediction = Prediction::<Vec<String>>::decode(&body)?;
//! assert_eq!(prediction.status, Some(Status::Succeeded));
//! assert_eq!(prediction.output.as_deref(), Some(&["https://example.com/out.png".to_owned()][..]));
//! # Ok::<(), tower_inbox::provider::DecodeError>(())
//! ```

use std::time::Duration;

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{
    DecodeError, InferenceKey, ModelBuilder, OtherMembers, Payload, Profile, Provider,
    SignedProvider, decode_json,
    json::{open_enum, open_struct},
};
use crate::signature::{SecretSet, StandardWebhooks};

/// Replicate.
#[derive(Clone, Copy, Debug)]
pub struct Replicate;

impl Provider for Replicate {
    const NAME: &'static str = "replicate";

    /// Only the terminal event is tried again, after 4xx and 5xx alike, for about a minute; "a few seconds" are the
    /// time for an answer (page on webhooks).
    const PROFILE: Profile = Profile::REPEATS_ON_4XX.tried_for(Duration::from_mins(1));
}

/// Standard Webhooks, with the one secret of the account (page on webhooks).
impl SignedProvider for Replicate {
    type Scheme = StandardWebhooks;

    fn scheme(secrets: SecretSet) -> StandardWebhooks {
        StandardWebhooks::new(secrets)
    }
}

open_enum! {
    /// How far a prediction has come (page on webhooks).
    pub enum Status {
        Starting = "starting",
        Processing = "processing",
        Succeeded = "succeeded",
        Failed = "failed",
        Canceled = "canceled",
        /// Stopped before it started. Not on the page.
        Aborted = "aborted",
    }
}

impl Status {
    /// Whether nothing will come after it.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Canceled | Self::Aborted)
    }
}

/// A prediction with an output of type `O`, as the API returns it, too.
///
/// Where events before the end were asked for, `O` must be able to hold a part of an output.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Prediction<O = Value> {
    /// The id of the prediction.
    pub id: String,
    /// The version of the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// How far it has come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// What the model was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// What it made. Null until there is something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<O>,
    /// Why it failed: a text, or whatever else the model raised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Value>,
    /// What the model wrote while it ran: a text, with few exceptions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logs: Option<Value>,
    /// What it took, such as `predict_time` in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Map<String, Value>>,
    /// When it was asked for, as RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<String>,
    /// Members that are not known here, as they came.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Prediction<O> {
    id, version, status, input, error, logs, metrics, created_at, started_at, completed_at
} strict { output } }

impl<O: DeserializeOwned + Send + Sync + 'static> Payload for Prediction<O> {
    type Provider = Replicate;

    fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        decode_json(body)
    }

    /// `id`; before the end with `status` as the version, so that no early state stands for the result.
    fn key(&self) -> InferenceKey {
        match &self.status {
            Some(status) if !status.is_terminal() => {
                InferenceKey::versioned(&self.id, status.as_str())
            }
            _ => InferenceKey::new(&self.id),
        }
    }
}

/// A model at Replicate, loaded into [`Prediction<O>`].
pub fn prediction<O: DeserializeOwned + Send + Sync + 'static>() -> ModelBuilder<Prediction<O>> {
    ModelBuilder::new()
}
