//! fal: images, video and sound from any model of its catalogue.
//!
//! Signed with Ed25519: fal publishes a set of keys at `https://rest.fal.ai/.well-known/jwks.json`, to be fetched at
//! least once a day and given to the scheme.
//!
//! Sources: fal's page on webhooks, read. No signed delivery was published: the scheme is verified with signatures of
//! our own after the page's recipe. Failures come with a payload of another shape than the model's, which the page
//! shows in examples.
//!
//! ```
//! use bytes::Bytes;
//! use serde::Deserialize;
//! use tower_inbox::provider::{Payload, fal::Response};
//!
//! #[derive(Deserialize)]
//! struct Images {
//!     seed: u64,
//! }
//!
//! let body = Bytes::from_static(br#"{"request_id": "r1", "gateway_request_id": "g1", "status": "OK",
//!     "payload": {"images": [], "seed": 196619188014358660}}"#);
//! let response = Response::<Images>::decode(&body)?;
//! assert_eq!(response.output().map(|images| images.seed), Some(196619188014358660));
//! # Ok::<(), tower_inbox::provider::DecodeError>(())
//! ```

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{
    DecodeError, InferenceKey, ModelDraft, Payload, Profile, Provider, decode_json, words::words,
};

/// fal.
#[derive(Clone, Copy, Debug)]
pub struct Fal;

impl Provider for Fal {
    const NAME: &'static str = "fal";

    /// The first try waits for 15 seconds; what fails is tried ten times more within two hours (page on webhooks).
    const PROFILE: Profile = Profile::REPEATS_ON_4XX
        .answered_within(Duration::from_secs(15))
        .tried_for(Duration::from_hours(2));
}

words! {
    /// How a request ended (page on webhooks).
    pub enum Status {
        Ok = "OK",
        Error = "ERROR",
    }
}

/// A request that ended, with an output of type `P`, or with whatever came instead.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Response<P = Value> {
    /// The status is `OK`.
    Done(Ended<P>),
    /// It is anything else. The payload tells more of what went wrong, in a shape that is not the model's.
    Failed(Ended<Value>),
}

/// What fal tells of a request that ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Ended<P> {
    /// The id that the queue gave.
    pub request_id: String,
    /// The id of the last try inside of fal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway_request_id: Option<String>,
    /// How it ended.
    pub status: Status,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What the model made. Null where it could not be written as JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<P>,
    /// Why there is no payload, though there is a result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload_error: Option<String>,
    /// Members that are not known here, as they came.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl<P> Response<P> {
    /// What the model made, if it did.
    pub fn output(&self) -> Option<&P> {
        match self {
            Self::Done(ended) => ended.payload.as_ref(),
            Self::Failed(_) => None,
        }
    }

    /// The id that the queue gave.
    pub fn request_id(&self) -> &str {
        match self {
            Self::Done(ended) => &ended.request_id,
            Self::Failed(ended) => &ended.request_id,
        }
    }
}

impl<P: DeserializeOwned + Send + Sync + 'static> Payload for Response<P> {
    type Provider = Fal;

    fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        match decode_json(body)? {
            Peek { status: Status::Ok } => decode_json(body).map(Self::Done),
            _ => decode_json(body).map(Self::Failed),
        }
    }

    /// `request_id`, which is `X-Fal-Webhook-Request-Id`, too, and stays the same through all tries.
    fn key(&self) -> InferenceKey {
        InferenceKey::new(self.request_id())
    }
}

/// What decides of which type the payload is.
#[derive(Deserialize)]
struct Peek {
    status: Status,
}

/// A model at fal, loaded into [`Response<P>`].
pub fn response<P: DeserializeOwned + Send + Sync + 'static>() -> ModelDraft<Response<P>> {
    ModelDraft::new()
}
