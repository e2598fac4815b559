//! The Gemini API: events of finished batches and videos.
//!
//! This module covers the static mode, with one secret for a project. Events of the dynamic mode, with a URL in the
//! request, carry a JSON Web Token, and it is not published whether the token covers the body: verify it with your own
//! [`Scheme`](crate::signature::Scheme), and do not trust the body.
//!
//! Sources: Google's page on webhooks (2026-05-19). The signature is that of Standard Webhooks, tested with the vector
//! of its specification. No real body was available.
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

    /// Retries for up to 24 hours unless it gets a 2xx within "a few seconds" (page on webhooks).
    const PROFILE: Profile = Profile::REPEATS_ON_4XX.tried_for(Duration::from_secs(24 * 60 * 60));
}

/// Standard Webhooks with a tolerance of five minutes (page on webhooks). A rotation takes 24 hours, in which both
/// secrets sign.
impl SignedProvider for Gemini {
    type Scheme = StandardWebhooks;

    fn scheme(secrets: SecretSet) -> StandardWebhooks {
        StandardWebhooks::new(secrets)
    }
}

/// An event: the result of a finished job can be fetched.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Event {
    /// The event type, such as `batch.succeeded`. In JSON: `type`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The version of the format, `v1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The time of the event, in RFC 3339 format.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
    /// The data of the event. Without members if absent.
    pub data: Subject,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Event { kind = "type", version, timestamp, data } }

/// The subject of an event.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Subject {
    /// The id of the result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The URI of the output of a batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_file_uri: Option<String>,
    /// The error code. It is not published whether it is a number or a string.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<Value>,
    /// What failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { nullable Subject { id, output_file_uri, error_code, error_message } }

impl Payload for Event {
    type Provider = Gemini;

    fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        decode_json(body)
    }

    /// The id of the subject, with the type of the event as the version.
    fn key(&self) -> InferenceKey {
        InferenceKey::versioned(self.data.id.as_deref().unwrap_or_default(), &self.kind)
    }

    /// `webhook-id`, which is the same in every attempt; without it, the id and type in the body.
    fn key_of(&self, delivery: &Delivery) -> InferenceKey {
        message_id(delivery).map_or_else(|| self.key(), InferenceKey::new)
    }
}

/// Starts a model for a project's endpoint at the Gemini API, decoded to [`Event`].
pub fn event() -> ModelBuilder<Event> {
    ModelBuilder::new()
}
