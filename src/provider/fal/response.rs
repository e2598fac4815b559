use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::provider::{
    DecodeError, InferenceKey, ModelBuilder, OtherMembers, Payload, Profile, Provider, decode_json,
    members::open_struct, open_enum::open_enum,
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
