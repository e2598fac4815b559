//! Baseten: results of asynchronous requests to your own models.
//!
//! Baseten does not store outputs, and makes two attempts within two seconds. An output that is not received then is
//! lost.
//!
//! Sources: Baseten's page on asynchronous inference. Signatures are optional at Baseten. No signed delivery was
//! available: the tests use signatures of our own, made as the page describes.
//!
//! ```
//! use bytes::Bytes;
//! use tower_inbox::provider::{Payload, baseten::Completed};
//!
//! let body = Bytes::from_static(br#"{"request_id": "r1", "model_id": "m1", "deployment_id": "d1",
//!     "type": "async_request_completed", "time": "2026-03-01T09:00:00Z",
//!     "data": {"caption": "a cat"}, "errors": []}"#);
//! let completed = Completed::<serde_json::Value>::decode(&body)?;
//! assert!(completed.errors.is_empty());
//! assert_eq!(completed.data.as_ref().map(|data| &data["caption"]), Some(&"a cat".into()));
//! # Ok::<(), tower_inbox::provider::DecodeError>(())
//! ```

use std::{fmt, time::Duration};

use bytes::Bytes;
use http::HeaderName;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::Value;

use super::{
    DecodeError, InferenceKey, Listed, ModelBuilder, OtherMembers, Payload, Profile, Provider,
    SignedProvider, decode_json, json::open_struct,
};
use crate::signature::{HmacBody, SecretSet};

/// The signature header (page on asynchronous inference).
const SIGNATURE: HeaderName = HeaderName::from_static("x-baseten-signature");

/// Baseten.
#[derive(Clone, Copy, Debug)]
pub struct Baseten;

impl Provider for Baseten {
    const NAME: &'static str = "baseten";

    /// Timeout: 10 s. One retry, about 2 s later, and only after 500, 502, 503 and 504: a 4xx ends the delivery (page
    /// on asynchronous inference).
    const PROFILE: Profile = Profile::GIVES_UP_ON_4XX
        .answered_within(Duration::from_secs(10))
        .tried_for(Duration::from_secs(2));
}

/// HMAC-SHA256 of the body, in hexadecimal with the prefix `v1=`. A rotation takes 24 hours, with a signature for each
/// secret. The key is the text of the secret with its `whsec_`: it is not decoded (page on asynchronous inference).
impl SignedProvider for Baseten {
    type Scheme = HmacBody;

    fn scheme(secrets: SecretSet) -> HmacBody {
        HmacBody::new(SIGNATURE, secrets).prefix("v1=").list()
    }
}

/// An asynchronous request that completed with an output of type `D`, or failed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Completed<D = Value> {
    /// The id of the request.
    pub request_id: String,
    /// The model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_id: Option<String>,
    /// The id of the deployment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment_id: Option<String>,
    /// `async_request_completed`. In JSON: `type`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The time of the event, in RFC 3339 format.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// The output of the model. Null if it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<D>,
    /// What failed.
    #[serde(skip_serializing_if = "Listed::is_absent")]
    pub errors: Listed<Problem>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Completed<D> { request_id, model_id, deployment_id, kind = "type", time, errors } strict { data } }

/// An error. An error that is sent as a string is decoded to its `message`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Problem {
    /// The error code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

/// The members of an error that is an object.
struct ProblemMembers {
    code: Option<String>,
    message: Option<String>,
    other: OtherMembers,
}

open_struct! { ProblemMembers { code, message } }

impl<'de> Deserialize<'de> for Problem {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(TextOrObject)
    }
}

struct TextOrObject;

impl<'de> Visitor<'de> for TextOrObject {
    type Value = Problem;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_str<E>(self, text: &str) -> Result<Problem, E> {
        Ok(Problem { message: Some(text.to_owned()), ..Problem::default() })
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Problem, A::Error> {
        let ProblemMembers { code, message, other } =
            ProblemMembers::deserialize(MapAccessDeserializer::new(members))?;
        Ok(Problem { code, message, other })
    }
}

impl<D: DeserializeOwned + Send + Sync + 'static> Payload for Completed<D> {
    type Provider = Baseten;

    fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        decode_json(body)
    }

    /// `request_id`. The header `X-BASETEN-REQUEST-ID` has the same value, but is not signed.
    fn key(&self) -> InferenceKey {
        InferenceKey::new(&self.request_id)
    }
}

/// Starts a model at Baseten, decoded to [`Completed<D>`].
pub fn completed<D: DeserializeOwned + Send + Sync + 'static>() -> ModelBuilder<Completed<D>> {
    ModelBuilder::new()
}
