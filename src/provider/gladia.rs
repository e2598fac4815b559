//! Gladia: transcripts.
//!
//! Gladia does not sign requests: put a token into the URL. A callback, which is set by a request, contains the
//! transcript and its id. A webhook, which is set by an account, contains only the id, in `payload`. Both are
//! supported.
//!
//! Sources: a real callback in public code, and Gladia's API reference. Retries and the reaction to status codes are
//! not published. The tests use bodies of our own.
//!
//! ```
//! use bytes::Bytes;
//! use tower_inbox::provider::{Payload, gladia::Event};
//!
//! let body = Bytes::from_static(br#"{"id": "t1", "event": "transcription.success",
//!     "payload": {"metadata": {"audio_duration": 3.5}, "transcription": {"full_transcript": "hello"}}}"#);
//! let event = Event::<serde_json::Value>::decode(&body)?;
//! assert_eq!(event.id(), Some("t1"));
//! assert_eq!(event.key().to_string(), "t1@transcription.success");
//! # Ok::<(), tower_inbox::provider::DecodeError>(())
//! ```

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    DecodeError, InferenceKey, ModelBuilder, OtherMembers, Payload, Profile, Provider, decode_json,
    json::{id_text, last_ids, open_struct},
};
use crate::delivery::Delivery;

/// Gladia.
#[derive(Clone, Copy, Debug)]
pub struct Gladia;

impl Provider for Gladia {
    const NAME: &'static str = "gladia";

    /// Gladia does not publish its reactions.
    const PROFILE: Profile = Profile::UNPUBLISHED;
}

/// An event with a payload of type `P`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Event<P = Value> {
    /// The event type, such as `transcription.success` or `transcription.error`.
    pub event: String,
    /// The transcript, or only its id. Absent from failures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<P>,
    /// What failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Value>,
    /// The caller's metadata.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_metadata: Option<Value>,
    /// The id of a callback.
    #[serde(rename = "id", skip_serializing_if = "Option::is_none")]
    beside: Option<Value>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
    #[serde(skip)]
    id: Option<String>,
}

impl<P> Event<P> {
    /// Returns the id of the transcript: `id`, or else `payload.id`.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }
}

impl<P: DeserializeOwned + Send + Sync + 'static> Payload for Event<P> {
    type Provider = Gladia;

    fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        let Wire { event, payload, error, custom_metadata, id: beside, other } = decode_json(body)?;
        // In a second pass, because `P` may not contain the id.
        let in_payload = || decode_json::<Peek>(body).ok()?.payload_id;
        let id = id_text(beside.as_ref()).or_else(in_payload);
        Ok(Self { event, payload, error, custom_metadata, beside, other, id })
    }

    /// The id, with the event as the version.
    fn key(&self) -> InferenceKey {
        InferenceKey::versioned(self.id().unwrap_or_default(), &self.event)
    }

    /// The same key; without an id, the digest of the body.
    fn key_of(&self, delivery: &Delivery) -> InferenceKey {
        match self.id {
            Some(_) => self.key(),
            None => InferenceKey::of_body(delivery),
        }
    }
}

struct Wire<P> {
    event: String,
    payload: Option<P>,
    error: Option<Value>,
    custom_metadata: Option<Value>,
    id: Option<Value>,
    other: OtherMembers,
}

open_struct! { Wire<P> { event, error, custom_metadata, id } strict { payload } }

#[derive(Deserialize)]
struct Peek {
    #[serde(rename = "payload", deserialize_with = "id_in")]
    payload_id: Option<String>,
}

fn id_in<'de, D: Deserializer<'de>>(payload: D) -> Result<Option<String>, D::Error> {
    last_ids(payload, ["id"]).map(|[id]| id)
}

/// Starts a model for transcripts of Gladia, decoded to [`Event<P>`].
pub fn event<P: DeserializeOwned + Send + Sync + 'static>() -> ModelBuilder<Event<P>> {
    ModelBuilder::new()
}
