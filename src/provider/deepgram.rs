//! Deepgram: transcripts, posted whole.
//!
//! Nothing is signed. The header [`dg-token`](TOKEN) holds the identifier of the API key that made the request, which is
//! no secret of the endpoint but few know it; or the URL holds a user and password, which
//! [`BasicAuth`](crate::signature::BasicAuth) checks, or a token. With `callback_method=put` a result comes by PUT: see
//! [`Model::methods`](super::Model::methods).
//!
//! Callbacks of live streams, one for each message, are read into [`Live`]. Audio that text-to-speech posts to a
//! callback is not: it is archived byte for byte, and undecodable, which is answered 202. To handle audio, implement
//! [`Payload`] for a type of your own that takes the body as it is.
//!
//! Sources: Deepgram's page on callbacks, read; the shapes of a failure and of live messages are second-hand. Bodies
//! are tested with our own.
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

    /// Up to ten more tries, 30 seconds apart, after anything but a 2xx (page on callbacks).
    const PROFILE: Profile = Profile::REPEATS_ON_4XX.tried_for(Duration::from_mins(5));
}

/// A request that ended with results of type `R`, one that failed, which has `err_code` or `err_msg`, or a message about a live
/// stream, which has `type` and no `results`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Response<R = Value> {
    /// There are results.
    Done(Done<R>),
    /// There are none, and why.
    Failed(Failed),
    /// A message about a live stream.
    Live(Live),
}

/// Results.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Done<R> {
    /// What they are about.
    pub metadata: Metadata,
    /// What was heard.
    pub results: R,
    /// Members that are not known here, as they came.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Done<R> { metadata } strict { results } }

/// What results are about.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Metadata {
    /// The id of the request.
    pub request_id: String,
    /// When it was made, as RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// How long the recording is, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<f64>,
    /// How many channels it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<u32>,
    /// Members that are not known here, as they came.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Metadata { request_id, created, duration, channels } }

/// A request that failed (second-hand).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Failed {
    /// A short name of what failed, as it came: that it is a text is second-hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub err_code: Option<Value>,
    /// What happened, as it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub err_msg: Option<Value>,
    /// The id of the request.
    pub request_id: String,
    /// Members that are not known here, as they came.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Failed { err_code, err_msg, request_id } }

/// A message about a live stream: a part of its transcript, or that something happened in it.
///
/// A stream posts many of them, in no promised order. `start` and `duration` tell where a part belongs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Live {
    /// `Results`, `Metadata`, `UtteranceEnd`, `SpeechStarted` and others. On the wire it is `type`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where the part begins, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<f64>,
    /// How long it is, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<f64>,
    /// Whether it will not be corrected by a later message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_final: Option<bool>,
    /// What was heard; in messages of other kinds the number of the channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<Value>,
    /// What it is about, with the `request_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
    /// Members that are not known here, as they came.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Live { kind = "type", start, duration, is_final, channel, metadata } }

impl Live {
    /// The id of the request: `metadata.request_id` or `request_id`. Some messages have none.
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

    /// `metadata.request_id`, or `request_id` of a failure. Of a live message with its `type` and `start` as the
    /// version.
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

    /// The same; of a live message the digest of the body, since it has no id of its own.
    fn key_of(&self, delivery: &Delivery) -> InferenceKey {
        match self {
            Self::Live(_) => InferenceKey::of_body(delivery),
            Self::Done(_) | Self::Failed(_) => self.key(),
        }
    }
}

/// What decides which of the three it is.
#[derive(Deserialize)]
struct Peek {
    err_code: Option<IgnoredAny>,
    err_msg: Option<IgnoredAny>,
    results: Option<IgnoredAny>,
    #[serde(rename = "type")]
    kind: Option<IgnoredAny>,
}

/// Transcripts of Deepgram, loaded into [`Response<R>`].
pub fn transcription<R: DeserializeOwned + Send + Sync + 'static>() -> ModelBuilder<Response<R>> {
    ModelBuilder::new()
}
