//! Recall.ai: events of meeting bots, recordings and transcripts.
//!
//! Requests are signed as Standard Webhooks, with one secret for a workspace. Workspaces from before November 2025 have
//! a secret for each endpoint, and headers with the prefix `svix-`: verify these with
//! `recall::event().verified_by(StandardWebhooks::new(secret).svix())`.
//!
//! Sources: Recall.ai's pages on bot, recording and transcript webhooks and on their verification. The signature is
//! tested with the vector of Standard Webhooks. No real body was available: the tests use bodies of our own.
//!
//! ```
//! use bytes::Bytes;
//! use tower_inbox::provider::{Payload, recall::Event};
//!
//! let body = Bytes::from_static(br#"{"event": "recording.done",
//!     "data": {"data": {"code": "done", "sub_code": null}, "recording": {"id": "r1", "metadata": {}}}}"#);
//! let event = Event::<serde_json::Value>::decode(&body)?;
//! assert_eq!(event.event, "recording.done");
//! assert_eq!(event.data["recording"]["id"], "r1");
//! # Ok::<(), tower_inbox::provider::DecodeError>(())
//! ```

use std::time::Duration;

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    DecodeError, InferenceKey, ModelBuilder, OtherMembers, Payload, Profile, Provider,
    SignedProvider, decode_json, json::open_struct, standard::message_id,
};
use crate::{
    delivery::Delivery,
    signature::{SecretSet, StandardWebhooks},
};

/// Recall.ai.
#[derive(Clone, Copy, Debug)]
pub struct Recall;

impl Provider for Recall {
    const NAME: &'static str = "recall";

    /// Timeout: 15 s. Retries for 24 hours. An endpoint that fails for five days is disabled (pages on bot webhooks).
    const PROFILE: Profile = Profile::REPEATS_ON_4XX
        .answered_within(Duration::from_secs(15))
        .tried_for(Duration::from_secs(24 * 60 * 60));
}

/// Standard Webhooks, with headers with the prefix `webhook-` (page on verification).
impl SignedProvider for Recall {
    type Scheme = StandardWebhooks;

    fn scheme(secrets: SecretSet) -> StandardWebhooks {
        StandardWebhooks::new(secrets)
    }
}

/// An event with data of type `D`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Event<D = Value> {
    /// The event type, such as `bot.done`, `recording.done` or `transcript.failed`.
    pub event: String,
    /// The data of the event: most events have `data.code`, and `bot`, `recording` and others with an `id` each.
    pub data: D,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Event<D> { event } strict { data } }

impl<D: DeserializeOwned + Send + Sync + 'static> Payload for Event<D> {
    type Provider = Recall;

    fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        decode_json(body)
    }

    /// The event type. The body has no id.
    fn key(&self) -> InferenceKey {
        InferenceKey::new(&self.event)
    }

    /// `webhook-id` (or `svix-id`), which is the same in every attempt; without one, the digest of the body.
    fn key_of(&self, delivery: &Delivery) -> InferenceKey {
        message_id(delivery).map_or_else(|| InferenceKey::of_body(delivery), InferenceKey::new)
    }
}

/// Starts a model for an endpoint at Recall.ai, decoded to [`Event<D>`].
pub fn event<D: DeserializeOwned + Send + Sync + 'static>() -> ModelBuilder<Event<D>> {
    ModelBuilder::new()
}
