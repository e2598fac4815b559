//! Rossum: documents in, fields out, with people in between.
//!
//! An event carries a live token for Rossum's API, and the secrets of the hook. The token is [`Redacted`], and the secrets
//! are not loaded at all; but the archive has the exact body: whoever reads it can use the token for as long as it
//! lives. Some hooks take the answer's body for commands: the handler's answer is what they get.
//!
//! Sources: Rossum's API documentation as public code quotes it: that the event has a token, how it is signed and how
//! often it is tried is well attested; `request_id` and the names of the other members are second-hand. The signature
//! is verified with signatures of our own.
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

/// Where the signature stands (API documentation).
const SIGNATURE: HeaderName = HeaderName::from_static("x-rossum-signature-sha256");

/// Rossum.
#[derive(Clone, Copy, Debug)]
pub struct Rossum;

impl Provider for Rossum {
    const NAME: &'static str = "rossum";

    /// Waits for 30 seconds, or up to 60 where the hook says so. Up to five tries within 30 seconds; after a 4xx only
    /// where the hook asks for it, so that it is a report (API documentation).
    const PROFILE: Profile = Profile::REPORTS_FAILURES
        .answered_within(Duration::from_secs(30))
        .tried_for(Duration::from_secs(30));
}

/// HMAC-SHA256 of the body, in hexadecimal behind `sha256=` (API documentation). The older SHA-1 is not checked.
impl SignedProvider for Rossum {
    type Scheme = HmacBody;

    fn scheme(secrets: SecretSet) -> HmacBody {
        HmacBody::new(SIGNATURE, secrets).prefix("sha256=")
    }
}

/// Something happened to a document.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Event {
    /// The id of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
    /// The event, such as `annotation_content`.
    pub event: String,
    /// What was done, such as `initialize`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// The URL of the hook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook: Option<String>,
    /// The host that the token is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// A live token for Rossum's API. Absent where the hook has no owner for one. Never written again. On the wire it
    /// is `rossum_authorization_token`.
    #[serde(rename = "rossum_authorization_token", skip_serializing)]
    pub token: Option<Redacted>,
    /// Never loaded.
    #[serde(skip_serializing)]
    secrets: Option<IgnoredAny>,
    /// What it happened to, such as `annotation`, and all other members, as they came. Which ones an event has is not
    /// known well enough to tell what is new: none is reported as unknown.
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

    /// `request_id`; without it the event, with its time as the version.
    fn key(&self) -> InferenceKey {
        let time = self.timestamp.as_deref().unwrap_or_default();
        match &self.request_id {
            Some(id) => InferenceKey::new(id),
            None => InferenceKey::versioned(&self.event, time),
        }
    }

    /// `request_id`; without it the digest of the body.
    fn key_of(&self, delivery: &Delivery) -> InferenceKey {
        match &self.request_id {
            Some(id) => InferenceKey::new(id),
            None => InferenceKey::of_body(delivery),
        }
    }
}

/// A hook at Rossum, loaded into [`Event`].
pub fn event() -> ModelBuilder<Event> {
    ModelBuilder::new()
}
