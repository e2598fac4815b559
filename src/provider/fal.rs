//! fal: images, video and audio from any model in its catalogue.
//!
//! fal signs with Ed25519, which requires feature `ed25519`. It publishes its keys at
//! `https://rest.fal.ai/.well-known/jwks.json`: fetch them at least once a day, and pass them to the scheme.
//!
//! Sources: fal's page on webhooks. No signed delivery was available: the tests use signatures of our own, made as the
//! page describes. The payload of a failure has another format than that of the model; the page shows examples.
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

    /// Timeout of the first attempt: 15 s. Ten retries within two hours (page on webhooks).
    const PROFILE: Profile = Profile::REPEATS_ON_4XX
        .answered_within(Duration::from_secs(15))
        .tried_for(Duration::from_secs(2 * 60 * 60));
}

open_enum! {
    /// The outcome of a request (page on webhooks).
    pub enum Status {
        Ok = "OK",
        Error = "ERROR",
    }
}

/// A finished request with an output of type `P`, or a failed one.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Response<P = Value> {
    /// The status is `OK`.
    Done(Ended<P>),
    /// The status is not `OK`. The payload describes the error, in another format than that of the model.
    Failed(Ended<Value>),
}

/// A finished request.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Ended<P> {
    /// The id of the request in the queue.
    pub request_id: String,
    /// The id of the last attempt inside fal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway_request_id: Option<String>,
    /// The outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// The error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The output of the model. Null if it cannot be represented as JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<P>,
    /// The reason why a result has no payload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload_error: Option<String>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Ended<P> { request_id, gateway_request_id, status, error, payload_error } strict { payload } }

impl<P> Response<P> {
    /// Returns the output of the model, if there is one.
    pub fn output(&self) -> Option<&P> {
        match self {
            Self::Done(ended) => ended.payload.as_ref(),
            Self::Failed(_) => None,
        }
    }

    /// The id of the request in the queue.
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

    /// `request_id`, which is also in `X-Fal-Webhook-Request-Id`. It is the same in every attempt.
    fn key(&self) -> InferenceKey {
        InferenceKey::new(self.request_id())
    }
}

/// The member that determines the type of the payload.
#[derive(Deserialize)]
struct Peek {
    status: Option<Value>,
}

/// Starts a model at fal, decoded to [`Response<P>`]. With feature `ed25519`, pass `fal::signature` to
/// [`verified_by`](ModelBuilder::verified_by).
pub fn response<P: DeserializeOwned + Send + Sync + 'static>() -> ModelBuilder<Response<P>> {
    ModelBuilder::new()
}

/// Returns fal's signature scheme: Ed25519 with any key of its set. Tolerance: 300 s in both directions (page on
/// webhooks).
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
