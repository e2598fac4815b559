//! OpenAI: events of finished responses, batches, fine-tuning jobs and evaluations.
//!
//! Fetch the result with the id in `data`. Each endpoint has its own secret, `whsec_…`.
//!
//! Sources: OpenAI's guide on webhooks and `openai-python`. The signature is that of Standard Webhooks, tested with the
//! vector of its specification. No real body was available.
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

    /// Retries for up to 72 hours unless it gets a 2xx within "a few seconds". Redirects are not followed (guide).
    const PROFILE: Profile = Profile::REPEATS_ON_4XX.tried_for(Duration::from_secs(72 * 60 * 60));
}

/// Standard Webhooks with a tolerance of 300 s in both directions (`openai-python`).
impl SignedProvider for OpenAi {
    type Scheme = StandardWebhooks;

    fn scheme(secrets: SecretSet) -> StandardWebhooks {
        StandardWebhooks::new(secrets)
    }
}

/// An event: the result of a finished job can be fetched.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Event {
    /// The id of the event, `evt_…`.
    pub id: String,
    /// Always `event`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// The event type: `response.` with `completed`, `failed`, `cancelled` or `incomplete`; events of `batch.`,
    /// `fine_tuning.job.` and `eval.run.`; `realtime.call.incoming`. In JSON: `type`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The time of the event, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<i64>,
    /// The data of the event. Without members if absent.
    pub data: Subject,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Event { id, object, kind = "type", created_at, data } }

/// The subject of an event.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Subject {
    /// The id of the result. An incoming call has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Unknown members.
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

    /// `webhook-id`, which OpenAI recommends for deduplication; without it, the id of the event.
    fn key_of(&self, delivery: &Delivery) -> InferenceKey {
        message_id(delivery).map_or_else(|| self.key(), InferenceKey::new)
    }
}

/// Starts a model for a project's endpoint at OpenAI, decoded to [`Event`].
pub fn event() -> ModelBuilder<Event> {
    ModelBuilder::new()
}
