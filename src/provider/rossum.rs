//! Rossum: fields of documents, with human review.
//!
//! An event contains a valid token for Rossum's API, and the secrets of the hook. The token is [`Redacted`], and the
//! secrets are not decoded. The archive contains the exact body: anyone who can read the archive can use the token
//! until it expires. Some hooks interpret the response body as commands: they get the response of the handler.
//!
//! Sources: Rossum's API documentation as quoted by public code. The token, the signature and the retries are well
//! attested; `request_id` and the other members are second-hand. The tests use signatures of our own.
//!
//! ```
//! use bytes::Bytes;
//! use tower_inbox::provider::{Payload, rossum::Event};
//!
//! let body = Bytes::from_static(br#"{"request_id": "r1", "timestamp": "2026-03-01T09:00:00Z",
//!     "event": "annotation_status", "action": "changed", "rossum_authorization_token": "hunter2",
//!     "annotation": {"id": 7, "status": "to_review"}}"#);
//! let event = Event::decode(&body)?;
//! assert_eq!(event.other["annotation"]["id"], 7);
//! assert!(!format!("{event:?}").contains("hunter2"));
//! # Ok::<(), tower_inbox::provider::DecodeError>(())
//! ```

use std::time::Duration;

use bytes::Bytes;
use http::HeaderName;
use serde::{Serialize, de::IgnoredAny};
use serde_json::{Map, Value};

use super::{
    DecodeError, InferenceKey, ModelBuilder, Payload, Profile, Provider, Redacted, SignedProvider,
    decode_json, json::open_struct,
};
use crate::{
    delivery::Delivery,
    signature::{HmacBody, SecretSet},
};

/// The signature header (API documentation).
const SIGNATURE: HeaderName = HeaderName::from_static("x-rossum-signature-sha256");

/// Rossum.
#[derive(Clone, Copy, Debug)]
pub struct Rossum;

impl Provider for Rossum {
    const NAME: &'static str = "rossum";

    /// Timeout: 30 s, or up to 60 s if the hook sets it. Up to five attempts within 30 s; a 4xx is retried only if the
    /// hook sets it (API documentation).
    const PROFILE: Profile = Profile::REPORTS_FAILURES
        .answered_within(Duration::from_secs(30))
        .tried_for(Duration::from_secs(30));
}

/// HMAC-SHA256 of the body, in hexadecimal with the prefix `sha256=` (API documentation). The older SHA-1 signature is
/// not verified.
impl SignedProvider for Rossum {
    type Scheme = HmacBody;

    fn scheme(secrets: SecretSet) -> HmacBody {
        HmacBody::new(SIGNATURE, secrets).prefix("sha256=")
    }
}

/// An event of a document.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Event {
    /// The id of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The time of the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
    /// The event type, such as `annotation_content`.
    pub event: String,
    /// The action, such as `initialize`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// The URL of the hook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook: Option<String>,
    /// The host for which the token is valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// A valid token for Rossum's API. Absent if the hook has no token owner. Never serialized. In JSON:
    /// `rossum_authorization_token`.
    #[serde(rename = "rossum_authorization_token", skip_serializing)]
    pub token: Option<Redacted>,
    /// Never decoded.
    #[serde(skip_serializing)]
    secrets: Option<IgnoredAny>,
    /// The subject, such as `annotation`, and all other members. None is reported as unknown, because the members of an
    /// event are not documented well enough.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

open_struct! { Event {
    request_id, timestamp, event, action, hook, base_url, token = "rossum_authorization_token", secrets
} }

impl Payload for Event {
    type Provider = Rossum;

    fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        decode_json(body)
    }

    /// `request_id`; without it, the event, with its time as the version.
    fn key(&self) -> InferenceKey {
        let time = self.timestamp.as_deref().unwrap_or_default();
        match &self.request_id {
            Some(id) => InferenceKey::new(id),
            None => InferenceKey::versioned(&self.event, time),
        }
    }

    /// `request_id`; without it, the digest of the body.
    fn key_of(&self, delivery: &Delivery) -> InferenceKey {
        match &self.request_id {
            Some(id) => InferenceKey::new(id),
            None => InferenceKey::of_body(delivery),
        }
    }
}

/// Starts a model for a hook at Rossum, decoded to [`Event`].
pub fn event() -> ModelBuilder<Event> {
    ModelBuilder::new()
}
