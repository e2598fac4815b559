//! Black Forest Labs: images of FLUX.
//!
//! The secret is given with each request (`webhook_secret`): a scheme either knows the one secret that all requests
//! are made with, or looks each up. The URL of an image lives for ten minutes: fetch it at once.
//!
//! Sources, all second-hand: public code with the text of BFL's own guides; other public code calls the scheme
//! undocumented. Neither signature nor payload was seen from BFL itself; both are verified with deliveries of our own.
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
//! With a secret for each request, which a layer around the inbox has looked up:
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

/// Where the signature stands (second-hand).
const SIGNATURE: HeaderName = HeaderName::from_static("x-bfl-signature");

/// Black Forest Labs.
#[derive(Clone, Copy, Debug)]
pub struct Bfl;

impl Provider for Bfl {
    const NAME: &'static str = "bfl";

    /// Waits for 30 seconds; tries again after 1, 5 and 30 seconds, then drops the delivery (second-hand).
    const PROFILE: Profile = Profile::REPEATS_ON_4XX
        .answered_within(Duration::from_secs(30))
        .tried_for(Duration::from_secs(36));
}

/// HMAC-SHA256 of the body, in hexadecimal behind `sha256=` (second-hand).
impl SignedProvider for Bfl {
    type Scheme = HmacBody;

    fn scheme(secrets: SecretSet) -> HmacBody {
        HmacBody::new(SIGNATURE, secrets).prefix("sha256=")
    }
}

open_enum! {
    /// How a generation ended (second-hand).
    pub enum Status {
        Ready = "Ready",
        Error = "Error",
    }
}

/// A generation that ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Generation {
    /// The id of the generation.
    pub id: String,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// The image. Absent where it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Image>,
    /// What failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Value>,
    /// What happened, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When. Whether it is a number or a text is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Value>,
    /// Members that are not known here, as they came.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Generation { id, status, result, error, message, timestamp } }

/// An image, and what it was made from.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Image {
    /// Where it lies, for ten minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample: Option<String>,
    /// What was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// The seed, as it came: that it is a whole number is second-hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<Number>,
    /// Members that are not known here, as they came.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Image { sample, prompt, seed } }

impl Payload for Generation {
    type Provider = Bfl;

    fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        decode_json(body)
    }

    /// `id`: a generation ends once.
    fn key(&self) -> InferenceKey {
        InferenceKey::new(&self.id)
    }
}

/// FLUX, loaded into [`Generation`].
pub fn generation() -> ModelBuilder<Generation> {
    ModelBuilder::new()
}
