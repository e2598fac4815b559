//! The Gemini API: thin events that tell that a batch or a video has ended.
//!
//! This is the static mode, with one secret for a project, shown once. Events of the dynamic mode, with a URL in the
//! request, carry a JSON Web Token, of which it is not published whether it covers the body: check it with a
//! [`Scheme`](crate::signature::Scheme) of your own, and do not trust the body.
//!
//! Sources: Google's page on webhooks (2026-05-19), read. The signature is that of Standard Webhooks, verified with the
//! vector of its specification; no posted body was found.
//!
//! ```
//! use bytes::Bytes;
//! use tower_inbox::provider::{Payload, gemini::Event};
//!
//! let body = Bytes::from_static(br#"{"type": "batch.succeeded", "version": "v1",
//!     "timestamp": "2026-06-01T09:00:00Z",
//!     "data": {"id": "batches/b1", "output_file_uri": "files/f1"}}"#);
//! let event = Event::decode(&body)?;
//! assert_eq!(event.data.id.as_deref(), Some("batches/b1"));
//! assert_eq!(event.data.output_file_uri.as_deref(), Some("files/f1"));
//! # Ok::<(), tower_inbox::provider::DecodeError>(())
//! ```

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use super::{
    DecodeError, InferenceKey, ModelBuilder, OtherMembers, Payload, Profile, Provider,
    SignedProvider, decode_json, json::open_struct, standard::message_id,
};
use crate::{
    delivery::Delivery,
    signature::{SecretSet, StandardWebhooks},
};

/// The Gemini API.
#[derive(Clone, Copy, Debug)]
pub struct Gemini;

impl Provider for Gemini {
    const NAME: &'static str = "gemini";

    /// Anything but a 2xx within "a few seconds" is tried again for up to 24 hours (page on webhooks).
    const PROFILE: Profile = Profile::REPEATS_ON_4XX.tried_for(Duration::from_hours(24));
}

/// Standard Webhooks, five minutes (page on webhooks). During a rotation of 24 hours both secrets sign.
impl SignedProvider for Gemini {
    type Scheme = StandardWebhooks;

    fn scheme(secrets: SecretSet) -> StandardWebhooks {
        StandardWebhooks::new(secrets)
    }
}

/// Something has ended, and can be fetched.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Event {
    /// What happened, such as `batch.succeeded`. On the wire it is `type`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The version of the format, `v1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// When, as RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
    /// What it happened to. Without members where it is absent.
    pub data: Subject,
    /// Members that are not known here, as they came.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Event { kind = "type", version, timestamp, data } }

/// What an event is about.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Subject {
    /// The id to fetch it with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Where the output of a batch lies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_file_uri: Option<String>,
    /// The code of a failure. Whether it is a number or a text is not published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<Value>,
    /// What failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// Members that are not known here, as they came.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { nullable Subject { id, output_file_uri, error_code, error_message } }

impl Payload for Event {
    type Provider = Gemini;

    fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        decode_json(body)
    }

    /// The id of what it is about, with the type of the event as the version.
    fn key(&self) -> InferenceKey {
        InferenceKey::versioned(self.data.id.as_deref().unwrap_or_default(), &self.kind)
    }

    /// `webhook-id`, which stays the same through all tries; without it the id and type in the body.
    fn key_of(&self, delivery: &Delivery) -> InferenceKey {
        message_id(delivery).map_or_else(|| self.key(), InferenceKey::new)
    }
}

/// A project's endpoint at the Gemini API, loaded into [`Event`].
pub fn event() -> ModelBuilder<Event> {
    ModelBuilder::new()
}
