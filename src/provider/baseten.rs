//! Baseten: results of asynchronous requests to models of your own.
//!
//! Baseten does not keep outputs, and tries twice within two seconds: what is not received then is lost.
//!
//! Sources: Baseten's page on asynchronous inference, read. The signature is optional at Baseten, and is verified here
//! with signatures of our own after the page's recipe; no signed delivery was found.
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

/// Where the signature stands (page on asynchronous inference).
const SIGNATURE: HeaderName = HeaderName::from_static("x-baseten-signature");

/// Baseten.
#[derive(Clone, Copy, Debug)]
pub struct Baseten;

impl Provider for Baseten {
    const NAME: &'static str = "baseten";

    /// Waits for ten seconds. Tries once more, about two seconds later, and only after 500, 502, 503 and 504: a 4xx
    /// ends the delivery (page on asynchronous inference).
    const PROFILE: Profile = Profile::GIVES_UP_ON_4XX
        .answered_within(Duration::from_secs(10))
        .tried_for(Duration::from_secs(2));
}

/// HMAC-SHA256 of the body, in hexadecimal behind `v1=`, one for each secret during a rotation of 24 hours. The key is
/// the text of the secret with its `whsec_`: it is not decoded (page on asynchronous inference).
impl SignedProvider for Baseten {
    type Scheme = HmacBody;

    fn scheme(secrets: SecretSet) -> HmacBody {
        HmacBody::new(SIGNATURE, secrets).prefix("v1=").list()
    }
}

/// An asynchronous request that was completed with an output of type `D`, or failed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Completed<D = Value> {
    /// The id of the request.
    pub request_id: String,
    /// The model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_id: Option<String>,
    /// Its deployment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment_id: Option<String>,
    /// `async_request_completed`. On the wire it is `type`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// When, as RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// What the model made. Null where it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<D>,
    /// What failed.
    #[serde(skip_serializing_if = "Listed::is_absent")]
    pub errors: Listed<Problem>,
    /// Members that are not known here, as they came.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Completed<D> { request_id, model_id, deployment_id, kind = "type", time, errors } strict { data } }

/// What failed. A problem that is posted as a text is read as its `message`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Problem {
    /// Baseten's code for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Members that are not known here, as they came.
    #[serde(flatten)]
    pub other: OtherMembers,
}

/// The members of a problem that is an object.
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

    /// `request_id`. The header `X-BASETEN-REQUEST-ID` says the same, but is not signed.
    fn key(&self) -> InferenceKey {
        InferenceKey::new(&self.request_id)
    }
}

/// A model at Baseten, loaded into [`Completed<D>`].
pub fn completed<D: DeserializeOwned + Send + Sync + 'static>() -> ModelBuilder<Completed<D>> {
    ModelBuilder::new()
}
