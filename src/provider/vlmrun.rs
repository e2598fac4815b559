//! VLM Run: structured data from images, documents and video.
//!
//! Sources: VLM Run's page on webhooks and the verifier of its Node client, read; the members of a prediction are those
//! of its API reference, and that they are what is posted is said by the page, not seen. The signature is optional at
//! VLM Run, and is verified here with signatures of our own.
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

/// Where the signature stands (page on webhooks).
const SIGNATURE: HeaderName = HeaderName::from_static("x-vlmrun-signature");

/// VLM Run.
#[derive(Clone, Copy, Debug)]
pub struct VlmRun;

impl Provider for VlmRun {
    const NAME: &'static str = "vlmrun";

    /// A 2xx is success; of anything else the page says nothing.
    const PROFILE: Profile = Profile::UNPUBLISHED;
}

/// HMAC-SHA256 of the body, in hexadecimal behind `sha256=`, with the secret of the account (page on webhooks, and the
/// verifier of the Node client).
impl SignedProvider for VlmRun {
    type Scheme = HmacBody;

    fn scheme(secrets: SecretSet) -> HmacBody {
        HmacBody::new(SIGNATURE, secrets).prefix("sha256=")
    }
}

open_enum! {
    /// How far a prediction has come (API reference).
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
    /// How far it has come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// What the model made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<R>,
    /// When it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<String>,
    /// What it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Value>,
    /// Members that are not known here, as they came.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Prediction<R> { id, status, created_at, completed_at, usage } strict { response } }

impl<R: DeserializeOwned + Send + Sync + 'static> Payload for Prediction<R> {
    type Provider = VlmRun;

    fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        decode_json(body)
    }

    /// `id`; before the end with `status` as the version.
    fn key(&self) -> InferenceKey {
        match &self.status {
            Some(Status::Completed | Status::Failed) | None => InferenceKey::new(&self.id),
            Some(status) => InferenceKey::versioned(&self.id, status.as_str()),
        }
    }
}

/// A model at VLM Run, loaded into [`Prediction<R>`].
pub fn prediction<R: DeserializeOwned + Send + Sync + 'static>() -> ModelBuilder<Prediction<R>> {
    ModelBuilder::new()
}
