//! DeepInfra: results of any model in its catalogue.
//!
//! DeepInfra does not sign requests: put a token into the URL. The members of a result are in the same object as those
//! of DeepInfra.
//!
//! Sources: the page on webhooks, which shows that a failure has the same format without results. The tests use bodies
//! of our own.
//!
//! ```
//! use bytes::Bytes;
//! use serde::Deserialize;
//! use tower_inbox::provider::{Payload, deepinfra::Completion};
//!
//! #[derive(Deserialize)]
//! struct Generated {
//!     results: Vec<Text>,
//! }
//!
//! #[derive(Deserialize)]
//! struct Text {
//!     generated_text: String,
//! }
//!
//! let body = Bytes::from_static(br#"{"request_id": "r1",
//!     "inference_status": {"status": "succeeded", "runtime_ms": 243, "cost": 0.00001},
//!     "results": [{"generated_text": "hello"}]}"#);
//! let completion = Completion::decode(&body)?;
//! let status = completion.inference_status.as_ref().and_then(|status| status.status.as_deref());
//! assert_eq!(status, Some("succeeded"));
//! assert_eq!(completion.output::<Generated>()?.results[0].generated_text, "hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use bytes::Bytes;
use serde::{
    Serialize,
    de::{DeserializeOwned, Error},
};
use serde_json::{Map, Value};

use super::{
    DecodeError, InferenceKey, ModelBuilder, OtherMembers, Payload, Profile, Provider, decode_json,
    json::open_struct,
};
use crate::delivery::Delivery;

/// DeepInfra.
#[derive(Clone, Copy, Debug)]
pub struct DeepInfra;

impl Provider for DeepInfra {
    const NAME: &'static str = "deepinfra";

    /// Retries "a few" times after 4xx and 5xx (page on webhooks).
    const PROFILE: Profile = Profile::REPEATS_ON_4XX;
}

/// A finished request.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Completion {
    /// The id of the request. Null if the request failed before it got one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inference_status: Option<InferenceStatus>,
    /// The output of the model. Empty if it failed. A member that DeepInfra adds cannot be distinguished from one of
    /// the model: it is included, and is not reported as unknown.
    #[serde(flatten)]
    pub results: Map<String, Value>,
}

struct Wire {
    request_id: Option<String>,
    inference_status: Option<InferenceStatus>,
    other: Map<String, Value>,
}

open_struct! { Wire { request_id, inference_status } }

/// The outcome of a request.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct InferenceStatus {
    /// The status, such as `succeeded` or `failed`. The page does not list all values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// The runtime, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime_ms: Option<u64>,
    /// The cost, in dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { InferenceStatus { status, runtime_ms, cost } }

impl Completion {
    /// Decodes the output of the model to `O`.
    ///
    /// # Errors
    ///
    /// If the output is not of type `O`, such as that of a failed request.
    pub fn output<O: DeserializeOwned>(&self) -> Result<O, DecodeError> {
        let results = Value::Object(self.results.clone());
        O::deserialize(results).map_err(|error| DecodeError::new(None, error))
    }
}

impl Payload for Completion {
    type Provider = DeepInfra;

    fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        let Wire { request_id, inference_status, other: results } = decode_json(body)?;
        if request_id.is_none() && inference_status.is_none() && results.is_empty() {
            return Err(DecodeError::new(None, Error::missing_field("request_id")));
        }
        Ok(Self { request_id, inference_status, results })
    }

    /// `request_id`.
    fn key(&self) -> InferenceKey {
        InferenceKey::new(self.request_id.as_deref().unwrap_or_default())
    }

    /// The same key; without an id, the digest of the body.
    fn key_of(&self, delivery: &Delivery) -> InferenceKey {
        match self.request_id {
            Some(_) => self.key(),
            None => InferenceKey::of_body(delivery),
        }
    }
}

/// Starts a model at DeepInfra, decoded to [`Completion`].
pub fn completion() -> ModelBuilder<Completion> {
    ModelBuilder::new()
}
