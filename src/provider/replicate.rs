//! Replicate: predictions of any model in its catalogue.
//!
//! An account has one secret, which `GET /v1/webhooks/default/secret` returns. Each requested event (`start`, `output`,
//! `logs`, `completed`) sends the whole prediction, sometimes late or repeated: ignore earlier states after a final
//! one. Files in the output are URLs that expire.
//!
//! Sources: Replicate's pages on webhooks and `replicate-javascript`. The signature is that of Standard Webhooks,
//! tested with the vector of its specification. The format of a prediction is that of Replicate's pages.
//!
//! ```
//! use bytes::Bytes;
//! use tower_inbox::provider::{Payload, replicate::{Prediction, Status}};
//!
//! let body = Bytes::from_static(br#"{"id": "p1", "version": "v1", "status": "succeeded",
//!     "input": {"text": "Alice"}, "output": ["https://example.com/out.png"], "error": null}"#);
//! let prediction = Prediction::<Vec<String>>::decode(&body)?;
//! assert_eq!(prediction.status, Some(Status::Succeeded));
//! assert_eq!(prediction.output.as_deref(), Some(&["https://example.com/out.png".to_owned()][..]));
//! # Ok::<(), tower_inbox::provider::DecodeError>(())
//! ```

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use http::StatusCode;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{
    DecodeError, HttpClient, InferenceKey, ModelBuilder, OtherMembers, Payload, Profile, Provider,
    Recover, RecoverError, Recovered, Recovering, SignedProvider, decode_json,
    json::{open_enum, open_struct},
    recover::{ApiClient, segment, unexpected},
};
use crate::signature::{Secret, SecretSet, StandardWebhooks};

/// Replicate.
#[derive(Clone, Copy, Debug)]
pub struct Replicate;

impl Provider for Replicate {
    const NAME: &'static str = "replicate";

    /// Timeout: "a few seconds". Only the final event is retried, after 4xx and 5xx, for about a minute (page on
    /// webhooks).
    const PROFILE: Profile = Profile::REPEATS_ON_4XX.tried_for(Duration::from_secs(60));
}

/// Standard Webhooks, with the secret of the account (page on webhooks).
impl SignedProvider for Replicate {
    type Scheme = StandardWebhooks;

    fn scheme(secrets: SecretSet) -> StandardWebhooks {
        StandardWebhooks::new(secrets)
    }
}

open_enum! {
    /// The status of a prediction (page on webhooks).
    pub enum Status {
        Starting = "starting",
        Processing = "processing",
        Succeeded = "succeeded",
        Failed = "failed",
        Canceled = "canceled",
        /// Aborted before it started. Not on the page.
        Aborted = "aborted",
    }
}

impl Status {
    /// Returns whether the status is final.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Canceled | Self::Aborted)
    }
}

/// A prediction with an output of type `O`, in the format of the API.
///
/// If you request events before `completed`, `O` must be able to hold a partial output.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Prediction<O = Value> {
    /// The id of the prediction.
    pub id: String,
    /// The model version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// The input of the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// The output. Null until there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<O>,
    /// The error: a string, or another value that the model raised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Value>,
    /// The logs of the model: a string, with few exceptions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logs: Option<Value>,
    /// Metrics, such as `predict_time` in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Map<String, Value>>,
    /// The creation time, in RFC 3339 format.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// The start time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// The end time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<String>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Prediction<O> {
    id, version, status, input, error, logs, metrics, created_at, started_at, completed_at
} strict { output } }

impl<O: DeserializeOwned + Send + Sync + 'static> Payload for Prediction<O> {
    type Provider = Replicate;

    fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        decode_json(body)
    }

    /// `id`; before a final status, with `status` as the version, so that an early state is not taken for the result.
    fn key(&self) -> InferenceKey {
        match &self.status {
            Some(status) if !status.is_terminal() => {
                InferenceKey::versioned(&self.id, status.as_str())
            }
            _ => InferenceKey::new(&self.id),
        }
    }

    /// `id`, if the status is final.
    fn requested_id(&self) -> Option<Cow<'_, str>> {
        let is_final = self.status.as_ref().is_none_or(Status::is_terminal);
        is_final.then_some(Cow::Borrowed(&self.id))
    }
}

/// Starts a model at Replicate, decoded to [`Prediction<O>`].
pub fn prediction<O: DeserializeOwned + Send + Sync + 'static>() -> ModelBuilder<Prediction<O>> {
    ModelBuilder::new()
}

/// The API of Replicate.
const API: &str = "https://api.replicate.com";

/// Fetches predictions of Replicate by their id. A prediction that failed or was canceled is a result, too, as it is for
/// webhooks.
///
/// Predictions that were created by the API are deleted after an hour, with their output (page on data retention): set
/// [`Expectations::give_up_after`](crate::Expectations::give_up_after) accordingly.
///
/// `client` is any tower service that sends requests, such as the client of `hyper-util` with TLS.
#[derive(Clone, Debug)]
pub struct Recovery<C>(ApiClient<C>);

impl<C: HttpClient> Recovery<C> {
    /// Fetches predictions with this API token.
    pub fn new(client: C, api_token: Secret) -> Self {
        Self(ApiClient::new(client, API, "Bearer ", api_token))
    }

    /// Sets the URL of the API, without a path. Default: `https://api.replicate.com`.
    pub fn api(mut self, url: impl Into<String>) -> Self {
        self.0.set_base(url.into());
        self
    }

    async fn fetch(&self, id: &str) -> Result<Recovered, RecoverError> {
        let response = self.0.get(&format!("/v1/predictions/{}", segment(id))).await?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => {
                return Ok(Recovered::Gone("Replicate has no such prediction".into()));
            }
            status => return Err(unexpected(status)),
        }
        let decoded = decode_json::<State>(response.body());
        let State { status } = decoded.map_err(|error| {
            RecoverError::new("the prediction in Replicate's response cannot be read")
                .because(error)
        })?;
        if status.is_terminal() {
            Ok(Recovered::Result(response.into_body()))
        } else {
            Ok(Recovered::NotReady)
        }
    }
}

/// The member of a prediction that says whether it is final.
#[derive(Deserialize)]
struct State {
    status: Status,
}

impl<C: HttpClient> Recover for Recovery<C> {
    fn recover<'r>(&'r self, id: &'r str) -> Recovering<'r> {
        Box::pin(self.fetch(id))
    }
}
