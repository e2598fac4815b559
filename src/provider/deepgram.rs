//! Deepgram: transcripts, posted whole.
//!
//! Nothing is signed. The header [`dg-token`](TOKEN) holds the identifier of the API key that made the request, which is
//! no secret of the endpoint but few know it; or the URL holds a user and password, which
//! [`BasicAuth`](crate::signature::BasicAuth) checks, or a token. With `callback_method=put` a result comes by PUT: see
//! [`Model::methods`](super::Model::methods).
//!
//! Sources: Deepgram's page on callbacks, read; the shape of a failure is second-hand. Bodies are tested with our own.
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
use serde::{Deserialize, Serialize, de::DeserializeOwned, de::IgnoredAny};
use serde_json::Value;

use super::{
    DecodeError, InferenceKey, ModelDraft, OtherMembers, Payload, Profile, Provider, decode_json,
};

/// The header with the identifier of the API key, for [`token_in_header`](ModelDraft::token_in_header).
pub const TOKEN: HeaderName = HeaderName::from_static("dg-token");

/// Deepgram.
#[derive(Clone, Copy, Debug)]
pub struct Deepgram;

impl Provider for Deepgram {
    const NAME: &'static str = "deepgram";

    /// Up to ten more tries, 30 seconds apart, after anything but a 2xx (page on callbacks).
    const PROFILE: Profile = Profile::REPEATS_ON_4XX.tried_for(Duration::from_mins(5));
}

/// A request that ended with results of type `R`, or failed. Which of the two, the member `err_code` tells.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Response<R = Value> {
    /// There are results.
    Done(Done<R>),
    /// There are none, and why.
    Failed(Failed),
}

/// Results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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

/// What results are about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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

/// A request that failed (second-hand).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Failed {
    /// A short name of what failed.
    pub err_code: String,
    /// What happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub err_msg: Option<String>,
    /// The id of the request.
    pub request_id: String,
    /// Members that are not known here, as they came.
    #[serde(flatten)]
    pub other: OtherMembers,
}

impl<R: DeserializeOwned + Send + Sync + 'static> Payload for Response<R> {
    type Provider = Deepgram;

    fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        match decode_json(body)? {
            Peek { err_code: Some(_) } => decode_json(body).map(Self::Failed),
            Peek { err_code: None } => decode_json(body).map(Self::Done),
        }
    }

    /// `metadata.request_id`, or `request_id` of a failure.
    fn key(&self) -> InferenceKey {
        InferenceKey::new(match self {
            Self::Done(done) => &done.metadata.request_id,
            Self::Failed(failed) => &failed.request_id,
        })
    }
}

/// What decides which of the two it is.
#[derive(Deserialize)]
struct Peek {
    err_code: Option<IgnoredAny>,
}

/// Transcripts of Deepgram, loaded into [`Response<R>`].
pub fn transcription<R: DeserializeOwned + Send + Sync + 'static>() -> ModelDraft<Response<R>> {
    ModelDraft::new()
}
