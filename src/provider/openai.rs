//! OpenAI: thin events that tell that a response, a batch, a fine-tuning job or an evaluation has ended.
//!
//! The result is fetched with the id in `data`. An endpoint has a secret of its own, `whsec_…`.
//!
//! Sources: OpenAI's guide on webhooks and `openai-python`, both read. The signature is that of Standard Webhooks,
//! verified with the vector of its specification; no posted body was found.
//!
//! ```
//! use bytes::Bytes;
//! use tower_inbox::provider::{Payload, openai::Event};
//!
//! let body = Bytes::from_static(br#"{"id": "evt_1", "object": "event", "type": "response.completed",
//!     "created_at": 1772355600, "data": {"id": "resp_1"}}"#);
//! let event = Event::decode(&body)?;
//! assert_eq!(event.kind.as_deref(), Some("response.completed"));
//! assert_eq!(event.data.id.as_deref(), Some("resp_1"));
//! # Ok::<(), tower_inbox::provider::DecodeError>(())
//! ```

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use super::{
    DecodeError, InferenceKey, ModelBuilder, OtherMembers, Payload, Profile, Provider,
    SignedProvider, decode_json, json::open_struct, standard::message_id,
};
use crate::{
    delivery::Delivery,
    signature::{SecretSet, StandardWebhooks},
};

/// OpenAI.
#[derive(Clone, Copy, Debug)]
pub struct OpenAi;

impl Provider for OpenAi {
    const NAME: &'static str = "openai";

    /// Anything but a 2xx within "a few seconds" is tried again for up to 72 hours; a 3xx is not followed (guide).
    const PROFILE: Profile = Profile::REPEATS_ON_4XX.tried_for(Duration::from_hours(72));
}

/// Standard Webhooks, 300 seconds in both directions (`openai-python`).
impl SignedProvider for OpenAi {
    type Scheme = StandardWebhooks;

    fn scheme(secrets: SecretSet) -> StandardWebhooks {
        StandardWebhooks::new(secrets)
    }
}

/// Something has ended, and can be fetched.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Event {
    /// The id of the event, `evt_…`.
    pub id: String,
    /// Always `event`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// What happened: `response.` with `completed`, `failed`, `cancelled` or `incomplete`; events of `batch.`,
    /// `fine_tuning.job.` and `eval.run.`; `realtime.call.incoming`. On the wire it is `type`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// When, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<i64>,
    /// What it happened to. Without members where it is absent.
    pub data: Subject,
    /// Members that are not known here, as they came.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Event { id, object, kind = "type", created_at, data } }

/// What an event is about.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Subject {
    /// The id to fetch it with. An incoming call has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Members that are not known here, as they came.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { nullable Subject { id } }

impl Payload for Event {
    type Provider = OpenAi;

    fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        decode_json(body)
    }

    /// The id of the event.
    fn key(&self) -> InferenceKey {
        InferenceKey::new(&self.id)
    }

    /// `webhook-id`, by which OpenAI asks to know repeats; without it the id of the event.
    fn key_of(&self, delivery: &Delivery) -> InferenceKey {
        message_id(delivery).map_or_else(|| self.key(), InferenceKey::new)
    }
}

/// A project's endpoint at OpenAI, loaded into [`Event`].
pub fn event() -> ModelBuilder<Event> {
    ModelBuilder::new()
}
