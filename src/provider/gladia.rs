//! Gladia: transcripts.
//!
//! Nothing is signed: put a token into the URL. A callback, which a request asks for, has the whole transcript, and the
//! id beside it; a webhook, which an account sets, has no more than the id, in `payload`. Both are read.
//!
//! Sources: a live callback in public code, and Gladia's API reference. Tries and answers are not published. Bodies are
//! tested with our own.
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

    /// Nothing is published.
    const PROFILE: Profile = Profile::UNPUBLISHED;
}

/// An event about `P`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Event<P = Value> {
    /// What happened, such as `transcription.success` or `transcription.error`.
    pub event: String,
    /// The transcript, or where it is not in the event its id. Absent from failures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<P>,
    /// What failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Value>,
    /// What the caller gave along, echoed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_metadata: Option<Value>,
    /// The id of a callback, as it came.
    #[serde(rename = "id", skip_serializing_if = "Option::is_none")]
    beside: Option<Value>,
    /// Members that are not known here, as they came.
    #[serde(flatten)]
    pub other: OtherMembers,
    #[serde(skip)]
    id: Option<String>,
}

impl<P> Event<P> {
    /// The id of the transcript: `id`, or else `payload.id`.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }
}

impl<P: DeserializeOwned + Send + Sync + 'static> Payload for Event<P> {
    type Provider = Gladia;

    fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        let Wire { event, payload, error, custom_metadata, id: beside, other } = decode_json(body)?;
        // In a pass of its own, since `P` need not know its id.
        let in_payload = || decode_json::<Peek>(body).ok()?.payload_id;
        let id = id_text(beside.as_ref()).or_else(in_payload);
        Ok(Self { event, payload, error, custom_metadata, beside, other, id })
    }

    /// The id, with the event as the version.
    fn key(&self) -> InferenceKey {
        InferenceKey::versioned(self.id().unwrap_or_default(), &self.event)
    }

    /// The same, but without an id the digest of the body.
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

/// Transcripts of Gladia, loaded into [`Event<P>`].
pub fn event<P: DeserializeOwned + Send + Sync + 'static>() -> ModelBuilder<Event<P>> {
    ModelBuilder::new()
}
