//! ElevenLabs: calls of agents, and transcripts.
//!
//! Sources: the pages on webhooks and the verifier of `elevenlabs-python`. The tests use signatures of our own, made as
//! that verifier expects. The pages show `conversation_id` in `data`; `request_id` is second-hand.
//!
//! # Audio
//!
//! `post_call_audio` carries the audio of a whole call as base64 in `data.full_audio`: 48 MiB of audio are 64 MiB of body,
//! the default [body limit](crate::Model::body_limit) of these events. Other models have 32 MiB. A longer body is answered
//! 413.
//!
//! While such a delivery is handled it takes its length twice, once as the body and once as the text in
//! [`Event<Value>`](Event), so about 128 MiB for 64 MiB. With a type for `D` that has no member for the audio it takes
//! 64 MiB; [`Inference::raw`](crate::Inference::raw) has the rest. The default
//! [`bytes_in_flight`](crate::InboxBuilder::bytes_in_flight) of 256 MiB admits one body of 64 MiB at a time until its
//! signature is checked. If no audio is sent, lower the limit; if long calls are, raise both.
//!
//! ```
//! use bytes::Bytes;
//! use serde::Deserialize;
//! use tower_inbox::provider::{Payload, elevenlabs::Event};
//!
//! #[derive(Deserialize)]
//! struct Call {
//!     agent_id: String,
//! }
//!
//! let body = Bytes::from_static(br#"{"type": "post_call_transcription", "event_timestamp": 1772355600,
//!     "data": {"conversation_id": "c1", "agent_id": "a1"}}"#);
//! let event = Event::<Call>::decode(&body)?;
//! assert_eq!(event.data.agent_id, "a1");
//! assert_eq!(event.key().to_string(), "c1@post_call_transcription");
//! # Ok::<(), tower_inbox::provider::DecodeError>(())
//! ```

use std::time::Duration;

use bytes::Bytes;
use http::HeaderName;
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use serde_json::{Number, Value};

use super::{
    DecodeError, InferenceKey, ModelBuilder, OnClientError, OtherMembers, Payload, Profile,
    Provider, SignedProvider, decode_json,
    json::{last_ids, open_struct},
};
use crate::{
    delivery::Delivery,
    signature::{HmacTemplate, Placement, SecretSet, Tolerance},
};

/// The signature header (`elevenlabs-python`).
const SIGNATURE: HeaderName = HeaderName::from_static("elevenlabs-signature");

/// The maximum age of a signature. Future timestamps are accepted (`elevenlabs-python`, `webhooks_custom.py`).
const OLDEST: Duration = Duration::from_secs(30 * 60);

/// ElevenLabs.
#[derive(Clone, Copy, Debug)]
pub struct ElevenLabs;

impl Provider for ElevenLabs {
    const NAME: &'static str = "elevenlabs";

    /// Only 200 is a success. Ten failures in a row, with the last success more than seven days ago, disable the
    /// endpoint. Retries are disabled by default, and unavailable for some events (page on webhooks).
    const PROFILE: Profile = Profile::WANTS_200.on_client_error(OnClientError::GivesUp);
}

/// HMAC-SHA256 of timestamp and body, in `t=…,v0=…` (`elevenlabs-python`, `webhooks_custom.py`).
impl SignedProvider for ElevenLabs {
    type Scheme = HmacTemplate;

    fn scheme(secrets: SecretSet) -> HmacTemplate {
        let placement = Placement::list(SIGNATURE, "t", "v0");
        HmacTemplate::new("{timestamp}.{body}", placement, secrets)
            .tolerance(Tolerance::past(OLDEST))
    }
}

/// An event with data of type `D`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Event<D = Value> {
    /// The event type, such as `post_call_transcription` or `post_call_audio`. In JSON: `type`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The time of the event, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_timestamp: Option<Number>,
    /// The data of the event.
    pub data: D,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
    #[serde(skip)]
    subject: Option<String>,
}

impl<D> Event<D> {
    /// Returns the id of the conversation or request: `conversation_id` or `request_id` in `data`.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }
}

/// The default body limit: 64 MiB, because `post_call_audio` contains the audio of a whole call in base64.
const BODY_LIMIT: usize = 64 << 20;

impl<D: DeserializeOwned + Send + Sync + 'static> Payload for Event<D> {
    type Provider = ElevenLabs;

    const BODY_LIMIT: usize = BODY_LIMIT;

    fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        let Wire { kind, event_timestamp, data, other } = decode_json(body)?;
        // In a second pass, because `D` may not contain the ids.
        let subject = decode_json::<Peek>(body).ok().and_then(|peek| peek.subject);
        Ok(Self { kind, event_timestamp, data, other, subject })
    }

    /// The id of the conversation or request, with the type as the version; without one, the type and the time.
    fn key(&self) -> InferenceKey {
        match (&self.subject, &self.event_timestamp) {
            (Some(subject), _) => InferenceKey::versioned(subject, &self.kind),
            (None, Some(time)) => InferenceKey::versioned(&self.kind, time.to_string()),
            (None, None) => InferenceKey::new(&self.kind),
        }
    }

    /// The same key; without an id, the digest of the body.
    fn key_of(&self, delivery: &Delivery) -> InferenceKey {
        match self.subject {
            Some(_) => self.key(),
            None => InferenceKey::of_body(delivery),
        }
    }
}

struct Wire<D> {
    kind: String,
    event_timestamp: Option<Number>,
    data: D,
    other: OtherMembers,
}

open_struct! { Wire<D> { kind = "type", event_timestamp } strict { data } }

#[derive(Deserialize)]
struct Peek {
    #[serde(rename = "data", deserialize_with = "subject_of")]
    subject: Option<String>,
}

fn subject_of<'de, D: Deserializer<'de>>(data: D) -> Result<Option<String>, D::Error> {
    let [conversation, request] = last_ids(data, ["conversation_id", "request_id"])?;
    Ok(conversation.or(request))
}

/// Starts a model for a webhook of ElevenLabs, decoded to [`Event<D>`].
pub fn event<D: DeserializeOwned + Send + Sync + 'static>() -> ModelBuilder<Event<D>> {
    ModelBuilder::new()
}
