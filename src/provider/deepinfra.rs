//! DeepInfra: results of any model of its catalogue.
//!
//! Nothing is signed: put a token into the URL. The members of a result stand beside those of DeepInfra.
//!
//! Sources: the page on webhooks, read; it shows that a failure is the same without results. Bodies are tested with our
//! own.
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
//! assert_eq!(completion.inference_status.status, "succeeded");
//! assert_eq!(completion.output::<Generated>()?.results[0].generated_text, "hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{
    DecodeError, InferenceKey, ModelDraft, OtherMembers, Payload, Profile, Provider, decode_json,
};

/// DeepInfra.
#[derive(Clone, Copy, Debug)]
pub struct DeepInfra;

impl Provider for DeepInfra {
    const NAME: &'static str = "deepinfra";

    /// Tries "a few" times more after 4xx and 5xx alike (page on webhooks).
    const PROFILE: Profile = Profile::REPEATS_ON_4XX;
}

/// A request that ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Completion {
    /// The id of the request.
    pub request_id: String,
    /// How it ended.
    pub inference_status: InferenceStatus,
    /// What the model made, as it came. Empty where it failed. A member that DeepInfra adds cannot be told from one of the
    /// model: it is here, too, and is not reported as unknown.
    #[serde(flatten)]
    pub results: Map<String, Value>,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct InferenceStatus {
    /// The word for it, such as `succeeded` or `failed`. The page has no list of them.
    pub status: String,
    /// How long it ran, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime_ms: Option<u64>,
    /// What it cost, in dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// Members that are not known here, as they came.
    #[serde(flatten)]
    pub other: OtherMembers,
}

impl Completion {
    /// What the model made, as `O`.
    ///
    /// # Errors
    ///
    /// If it is not of that type, as where the model failed.
    pub fn output<O: DeserializeOwned>(&self) -> Result<O, DecodeError> {
        let results = Value::Object(self.results.clone());
        O::deserialize(results).map_err(|error| DecodeError::new(None, error))
    }
}

impl Payload for Completion {
    type Provider = DeepInfra;

    fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        decode_json(body)
    }

    /// `request_id`.
    fn key(&self) -> InferenceKey {
        InferenceKey::new(&self.request_id)
    }
}

/// A model at DeepInfra, loaded into [`Completion`].
pub fn completion() -> ModelDraft<Completion> {
    ModelDraft::new()
}
