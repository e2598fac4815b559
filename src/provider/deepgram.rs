//! Deepgram: transcripts.
//!
//! Deepgram does not sign requests. The header [`dg-token`](TOKEN) contains the identifier of the API key that made the
//! request, which is not a secret of the endpoint, but known to few. Alternatively, put a user and password into the
//! URL, which [`BasicAuth`](crate::signature::BasicAuth) checks, or a token. With `callback_method=put` results are
//! sent by PUT: see [`Model::methods`](super::Model::methods).
//!
//! Callbacks of live streams, one for each message, are decoded to [`Live`]. Audio from text-to-speech is archived, but
//! undecodable, and answered 202. To handle audio, implement [`Payload`] for your own type.
//!
//! Sources: Deepgram's page on callbacks. The formats of failures and live messages are second-hand. The tests use
//! bodies of our own.
//!
//! ```
//! use bytes::Bytes;
//! use tower_inbox::provider::{Payload, deepgram::Response};
//!
//! let body = Bytes::from_static(br#"{"metadata": {"request_id": "r1", "duration": 3.5},
//!     "results": {"channels": [{"alternatives": [{"transcript": "hello"}]}]}}"#);
//! let Response::Done(done) = Response::<serde_json::Value>::decode(&body)? else { return Ok(()) };
//! assert_eq!(done.metadata.request_id, "r1");
//! assert_eq!(done.results["channels"][0]["alternatives"][0]["transcript"], "hello");
//! # Ok::<(), tower_inbox::provider::DecodeError>(())
//! ```

use std::time::Duration;

use bytes::Bytes;
use http::HeaderName;
use serde::{
    Deserialize, Serialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::Value;

use super::{
    DecodeError, InferenceKey, ModelBuilder, OtherMembers, Payload, Profile, Provider, decode_json,
    json::open_struct,
};
use crate::delivery::Delivery;

/// The header with the identifier of the API key, for [`token_in_header`](ModelBuilder::token_in_header).
pub const TOKEN: HeaderName = HeaderName::from_static("dg-token");

/// Deepgram.
#[derive(Clone, Copy, Debug)]
pub struct Deepgram;

impl Provider for Deepgram {
    const NAME: &'static str = "deepgram";

    /// Up to ten retries, 30 s apart, after any status but 2xx (page on callbacks).
    const PROFILE: Profile = Profile::REPEATS_ON_4XX.tried_for(Duration::from_secs(5 * 60));
}

/// A request with results of type `R`; a failed request, which has `err_code` or `err_msg`; or a message about a live
/// stream, which has `type` and no `results`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Response<R = Value> {
    /// A request with results.
    Done(Done<R>),
    /// A failed inference.
    Failed(Failed),
    /// A message about a live stream.
    Live(Live),
}

/// The results of a request.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Done<R> {
    /// Metadata of the request.
    pub metadata: Metadata,
    /// The transcript.
    pub results: R,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Done<R> { metadata } strict { results } }

/// Metadata of a request.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Metadata {
    /// The id of the request.
    pub request_id: String,
    /// The creation time, in RFC 3339 format.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The length of the recording, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<f64>,
    /// The number of channels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<u32>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Metadata { request_id, created, duration, channels } }

/// A request that failed (second-hand).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Failed {
    /// The error code. That it is a string is second-hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub err_code: Option<Value>,
    /// The error message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub err_msg: Option<Value>,
    /// The id of the request.
    pub request_id: String,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Failed { err_code, err_msg, request_id } }

/// A message about a live stream: a part of its transcript, or an event.
///
/// A stream sends many messages, and does not guarantee their order. `start` and `duration` locate a part.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Live {
    /// `Results`, `Metadata`, `UtteranceEnd`, `SpeechStarted` and others. In JSON: `type`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The start of the part, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<f64>,
    /// The length of the part, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<f64>,
    /// Whether no later message corrects this part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_final: Option<bool>,
    /// The transcript; in messages of other types, the index of the channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<Value>,
    /// Metadata, with the `request_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Live { kind = "type", start, duration, is_final, channel, metadata } }

impl Live {
    /// Returns the id of the request: `metadata.request_id` or `request_id`. Some messages have none.
    pub fn request_id(&self) -> Option<&str> {
        let in_metadata = self.metadata.as_ref().and_then(|metadata| metadata.get("request_id"));
        in_metadata.or_else(|| self.other.get("request_id"))?.as_str()
    }
}

impl<R: DeserializeOwned + Send + Sync + 'static> Payload for Response<R> {
    type Provider = Deepgram;

    fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        match decode_json(body)? {
            Peek { err_code: Some(_), .. } | Peek { err_msg: Some(_), .. } => {
                decode_json(body).map(Self::Failed)
            }
            Peek { results: None, kind: Some(_), .. } => decode_json(body).map(Self::Live),
            Peek { .. } => decode_json(body).map(Self::Done),
        }
    }

    /// `metadata.request_id`, or `request_id` of a failure. For a live message, with `type` and `start` as the version.
    fn key(&self) -> InferenceKey {
        match self {
            Self::Done(done) => InferenceKey::new(&done.metadata.request_id),
            Self::Failed(failed) => InferenceKey::new(&failed.request_id),
            Self::Live(live) => {
                let start = live.start.unwrap_or_default();
                let id = live.request_id().unwrap_or_default();
                InferenceKey::versioned(id, format!("{}:{start}", live.kind))
            }
        }
    }

    /// The same key; for a live message, which has no id, the digest of the body.
    fn key_of(&self, delivery: &Delivery) -> InferenceKey {
        match self {
            Self::Live(_) => InferenceKey::of_body(delivery),
            Self::Done(_) | Self::Failed(_) => self.key(),
        }
    }
}

/// The members that determine the variant.
#[derive(Deserialize)]
struct Peek {
    err_code: Option<IgnoredAny>,
    err_msg: Option<IgnoredAny>,
    results: Option<IgnoredAny>,
    #[serde(rename = "type")]
    kind: Option<IgnoredAny>,
}

/// Starts a model for transcripts of Deepgram, decoded to [`Response<R>`].
pub fn transcription<R: DeserializeOwned + Send + Sync + 'static>() -> ModelBuilder<Response<R>> {
    ModelBuilder::new()
}
