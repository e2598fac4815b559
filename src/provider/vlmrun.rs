//! VLM Run: structured data from images, documents and videos.
//!
//! Sources: VLM Run's page on webhooks, the verifier of its Node client, and its API reference for the members of a
//! prediction. Signatures are optional at VLM Run. The tests use bodies and signatures of our own.
//!
//! ```
//! use bytes::Bytes;
//! use serde::Deserialize;
//! use tower_inbox::provider::{Payload, vlmrun::{Prediction, Status}};
//!
//! #[derive(Deserialize)]
//! struct Invoice {
//!     total: f64,
//! }
//!
//! let body = Bytes::from_static(br#"{"id": "p1", "status": "completed", "response": {"total": 12.5},
//!     "created_at": "2026-03-01T09:00:00Z", "completed_at": "2026-03-01T09:00:05Z", "usage": {"credits_used": 1}}"#);
//! let prediction = Prediction::<Invoice>::decode(&body)?;
//! assert_eq!(prediction.status, Some(Status::Completed));
//! assert_eq!(prediction.response.map(|invoice| invoice.total), Some(12.5));
//! # Ok::<(), tower_inbox::provider::DecodeError>(())
//! ```

use bytes::Bytes;
use http::HeaderName;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    DecodeError, InferenceKey, ModelBuilder, OtherMembers, Payload, Profile, Provider,
    SignedProvider, decode_json,
    json::{open_enum, open_struct},
};
use crate::signature::{HmacBody, SecretSet};

/// The signature header (page on webhooks).
const SIGNATURE: HeaderName = HeaderName::from_static("x-vlmrun-signature");

/// VLM Run.
#[derive(Clone, Copy, Debug)]
pub struct VlmRun;

impl Provider for VlmRun {
    const NAME: &'static str = "vlmrun";

    /// A 2xx is a success. The reaction to other status codes is not published.
    const PROFILE: Profile = Profile::UNPUBLISHED;
}

/// HMAC-SHA256 of the body, in hexadecimal with the prefix `sha256=`, with the secret of the account (page on webhooks,
/// and the verifier of the Node client).
impl SignedProvider for VlmRun {
    type Scheme = HmacBody;

    fn scheme(secrets: SecretSet) -> HmacBody {
        HmacBody::new(SIGNATURE, secrets).prefix("sha256=")
    }
}

open_enum! {
    /// The status of a prediction (API reference).
    pub enum Status {
        Pending = "pending",
        Enqueued = "enqueued",
        Running = "running",
        Completed = "completed",
        Failed = "failed",
        Paused = "paused",
    }
}

/// A prediction with a response of type `R`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Prediction<R = Value> {
    /// The id of the prediction.
    pub id: String,
    /// The status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// The output of the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<R>,
    /// The creation time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// The end time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<String>,
    /// Usage, such as credits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Value>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Prediction<R> { id, status, created_at, completed_at, usage } strict { response } }

impl<R: DeserializeOwned + Send + Sync + 'static> Payload for Prediction<R> {
    type Provider = VlmRun;

    fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        decode_json(body)
    }

    /// `id`; before a final status, with `status` as the version.
    fn key(&self) -> InferenceKey {
        match &self.status {
            Some(Status::Completed | Status::Failed) | None => InferenceKey::new(&self.id),
            Some(status) => InferenceKey::versioned(&self.id, status.as_str()),
        }
    }
}

/// Starts a model at VLM Run, decoded to [`Prediction<R>`].
pub fn prediction<R: DeserializeOwned + Send + Sync + 'static>() -> ModelBuilder<Prediction<R>> {
    ModelBuilder::new()
}
