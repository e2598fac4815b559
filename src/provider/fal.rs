//! fal: images, video and sound from any model of its catalogue.
//!
//! Signed with Ed25519, which feature `ed25519` checks: fal publishes a set of keys at
//! `https://rest.fal.ai/.well-known/jwks.json`, to be fetched at least once a day and given to the scheme.
//!
//! Sources: fal's page on webhooks, read. No signed delivery was found: the scheme is verified with signatures of
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
#[cfg(feature = "ed25519")]
use http::HeaderName;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    DecodeError, InferenceKey, ModelBuilder, OtherMembers, Payload, Profile, Provider, decode_json,
    json::{open_enum, open_struct},
};
#[cfg(feature = "ed25519")]
use crate::signature::{Ed25519Keys, Ed25519Template, Placement};

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

open_enum! {
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
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Ended<P> {
    /// The id that the queue gave.
    pub request_id: String,
    /// The id of the last try inside of fal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway_request_id: Option<String>,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
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
    pub other: OtherMembers,
}

open_struct! { Ended<P> { request_id, gateway_request_id, status, error, payload_error } strict { payload } }

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
        let Peek { status } = decode_json(body)?;
        match status.as_ref().and_then(Value::as_str) {
            Some("OK") => decode_json(body).map(Self::Done),
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
    status: Option<Value>,
}

/// A model at fal, loaded into [`Response<P>`]. With feature `ed25519` it is
/// [verified by](ModelBuilder::verified_by) `fal::signature`.
pub fn response<P: DeserializeOwned + Send + Sync + 'static>() -> ModelBuilder<Response<P>> {
    ModelBuilder::new()
}

#[cfg(feature = "ed25519")]

/// fal's signature: Ed25519 with any key of its set, not older or newer than 300 seconds (page on webhooks).
///
/// ```
/// use tower_inbox::{provider::fal, signature::{Ed25519Key, Ed25519Keys}};
///
/// // As fetched from https://rest.fal.ai/.well-known/jwks.json, at most a day ago.
/// let fetched = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
/// let keys = Ed25519Keys::new(Ed25519Key::from_jwks(fetched)?);
/// let model = fal::response::<serde_json::Value>().verified_by(fal::signature(keys.clone()));
/// // Tomorrow:
/// keys.replace(Ed25519Key::from_jwks(fetched)?)?;
/// # let _ = model;
/// # Ok::<(), tower_inbox::signature::Ed25519KeyError>(())
/// ```
#[cfg(feature = "ed25519")]
pub fn signature(keys: impl Into<Ed25519Keys>) -> Ed25519Template {
    const SIGNATURE: HeaderName = HeaderName::from_static("x-fal-webhook-signature");
    /// In seconds since 1970.
    const TIMESTAMP: HeaderName = HeaderName::from_static("x-fal-webhook-timestamp");
    /// The same in every attempt to deliver a message.
    const REQUEST_ID: HeaderName = HeaderName::from_static("x-fal-webhook-request-id");
    /// The last part is the SHA-256 of the body in hexadecimal.
    const TEMPLATE: &str =
        "{x-fal-webhook-request-id}\n{x-fal-webhook-user-id}\n{timestamp}\n{body-sha256}";
    let placement = Placement::headers(SIGNATURE, TIMESTAMP);
    Ed25519Template::new(TEMPLATE, placement, keys).message_id(REQUEST_ID)
}
