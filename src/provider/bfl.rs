//! Black Forest Labs: images from FLUX.
//!
//! Each request sets its own secret (`webhook_secret`): use one secret for all requests, or resolve the secret for each
//! request. The URL of an image expires after ten minutes: fetch it at once.
//!
//! Sources, all second-hand: public code that quotes BFL's guides. Other public code calls the scheme undocumented. No
//! delivery of BFL was available: the tests use signatures and payloads of our own.
//!
//! ```
//! use bytes::Bytes;
//! use tower_inbox::provider::{Payload, bfl::{Generation, Status}};
//!
//! let body = Bytes::from_static(br#"{"id": "g1", "status": "Ready", "timestamp": "2026-03-01T09:00:00Z",
//!     "result": {"sample": "https://example.com/a.png", "prompt": "a cat", "seed": 42}}"#);
//! let generation = Generation::decode(&body)?;
//! assert_eq!(generation.status, Some(Status::Ready));
//! assert_eq!(generation.result.and_then(|result| result.seed?.as_i64()), Some(42));
//! # Ok::<(), tower_inbox::provider::DecodeError>(())
//! ```
//!
//! With a secret for each request, which a layer around the inbox resolves:
//!
//! ```
//! use http::request::Parts;
//! use tower_inbox::{Secret, provider::bfl, signature::SecretSet};
//!
//! #[derive(Clone)]
//! struct JobSecret(Secret);
//!
//! let secrets = SecretSet::resolved_by(|head: &Parts| {
//!     head.extensions.get().map(|JobSecret(secret)| secret.clone()).into_iter().collect()
//! });
//! let model = bfl::generation().signed_with(secrets);
//! # let _ = model;
//! ```

use std::time::Duration;

use bytes::Bytes;
use http::HeaderName;
use serde::Serialize;
use serde_json::{Number, Value};

use super::{
    DecodeError, InferenceKey, ModelBuilder, OtherMembers, Payload, Profile, Provider,
    SignedProvider, decode_json,
    json::{open_enum, open_struct},
};
use crate::signature::{HmacBody, SecretSet};

/// The signature header (second-hand).
const SIGNATURE: HeaderName = HeaderName::from_static("x-bfl-signature");

/// Black Forest Labs.
#[derive(Clone, Copy, Debug)]
pub struct Bfl;

impl Provider for Bfl {
    const NAME: &'static str = "bfl";

    /// Timeout: 30 s. Retries after 1, 5 and 30 s, then drops the delivery (second-hand).
    const PROFILE: Profile = Profile::REPEATS_ON_4XX
        .answered_within(Duration::from_secs(30))
        .tried_for(Duration::from_secs(36));
}

/// HMAC-SHA256 of the body, in hexadecimal with the prefix `sha256=` (second-hand).
impl SignedProvider for Bfl {
    type Scheme = HmacBody;

    fn scheme(secrets: SecretSet) -> HmacBody {
        HmacBody::new(SIGNATURE, secrets).prefix("sha256=")
    }
}

open_enum! {
    /// The outcome of a generation (second-hand).
    pub enum Status {
        Ready = "Ready",
        Error = "Error",
    }
}

/// A finished generation.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Generation {
    /// The id of the generation.
    pub id: String,
    /// The outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// The image. Absent if the generation failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Image>,
    /// What failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Value>,
    /// A message for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The time of the event. It is unknown whether it is a number or a string.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Value>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Generation { id, status, result, error, message, timestamp } }

/// An image and its input.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Image {
    /// The URL of the image. Expires after ten minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample: Option<String>,
    /// The prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// The seed. That it is an integer is second-hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<Number>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Image { sample, prompt, seed } }

impl Payload for Generation {
    type Provider = Bfl;

    fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        decode_json(body)
    }

    /// `id`: a generation finishes once.
    fn key(&self) -> InferenceKey {
        InferenceKey::new(&self.id)
    }
}

/// Starts a model for images from FLUX, decoded to [`Generation`].
pub fn generation() -> ModelBuilder<Generation> {
    ModelBuilder::new()
}
