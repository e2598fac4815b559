//! Extend: documents in, fields out.
//!
//! A run is posted whole or, above a size that the endpoint sets, as a signed URL that lives for an hour: fetch it at
//! once, by the handler.
//!
//! Sources: Extend's pages on webhooks and the verifiers of its clients, read. The signature is verified with
//! signatures of our own after those verifiers; no posted body was found.
//!
//! ```
//! use bytes::Bytes;
//! use tower_inbox::provider::{Payload, extend::Event};
//!
//! let body = Bytes::from_static(br#"{"eventId": "e1", "eventType": "extract_run.processed",
//!     "payload": {"object": "signed_data_url", "id": "run_1", "data": "https://example.com/run_1?sig=hunter2"}}"#);
//! match Event::<serde_json::Value>::decode(&body)? {
//!     Event::Whole(event) => println!("{}", event.payload),
//!     Event::Link(event) => assert_eq!(event.payload.id.as_deref(), Some("run_1")),
//!     _ => {}
//! }
//! # Ok::<(), tower_inbox::provider::DecodeError>(())
//! ```

use std::time::Duration;

use bytes::Bytes;
use http::HeaderName;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    DecodeError, InferenceKey, ModelBuilder, OtherMembers, Payload, Profile, Provider, Redacted,
    SignedProvider, decode_json, json::open_struct,
};
use crate::signature::{HmacTemplate, Placement, SecretSet, Tolerance};

/// Where the signature stands (clients of Extend).
const SIGNATURE: HeaderName = HeaderName::from_static("x-extend-request-signature");

/// Where its time stands (clients of Extend).
const TIMESTAMP: HeaderName = HeaderName::from_static("x-extend-request-timestamp");

/// How far in the future a signature may be (clients of Extend).
const FURTHEST: Duration = Duration::from_mins(1);

/// Extend.
#[derive(Clone, Copy, Debug)]
pub struct Extend;

impl Provider for Extend {
    const NAME: &'static str = "extend";

    /// Waits for 30 seconds for a 2xx (page on best practices). What it makes of a 4xx was not read.
    const PROFILE: Profile = Profile::UNPUBLISHED.answered_within(Duration::from_secs(30));
}

/// HMAC-SHA256 of `v0`, time and body, in hexadecimal; 300 seconds, but no more than 60 on the future side (clients of
/// Extend).
impl SignedProvider for Extend {
    type Scheme = HmacTemplate;

    fn scheme(secrets: SecretSet) -> HmacTemplate {
        let placement = Placement::headers(SIGNATURE, TIMESTAMP);
        HmacTemplate::new("v0:{timestamp}:{body}", placement, secrets)
            .tolerance(Tolerance::default().future(FURTHEST))
    }
}

/// An event about a run of type `R`, or about where the run can be fetched.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Event<R = Value> {
    /// The run is in the event.
    Whole(Envelope<R>),
    /// The run has to be fetched.
    Link(Envelope<SignedUrl>),
}

/// What both have in common.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Envelope<P> {
    /// The id of the event.
    pub event_id: String,
    /// What happened, such as `extract_run.processed` or `workflow_run.completed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// What it happened to.
    pub payload: P,
    /// Members that are not known here, as they came.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Envelope<P> { event_id = "eventId", event_type = "eventType" } strict { payload } }

/// Where a run can be fetched.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SignedUrl {
    /// The URL. Whoever knows it can fetch the run, for an hour.
    #[serde(rename = "data")]
    pub url: Redacted,
    /// The id of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What the run was made with. Absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
    /// Members that are not known here, as they came, and `object`, which is `signed_data_url`.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { SignedUrl { url = "data", id, metadata } }

impl<R: DeserializeOwned + Send + Sync + 'static> Payload for Event<R> {
    type Provider = Extend;

    fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        let Peek { payload } = decode_json(body)?;
        match payload.object.as_ref().and_then(Value::as_str) {
            Some("signed_data_url") => decode_json(body).map(Self::Link),
            _ => decode_json(body).map(Self::Whole),
        }
    }

    /// `eventId`.
    fn key(&self) -> InferenceKey {
        InferenceKey::new(match self {
            Self::Whole(event) => &event.event_id,
            Self::Link(event) => &event.event_id,
        })
    }
}

/// What decides of which type the payload is.
#[derive(Deserialize)]
struct Peek {
    payload: Object,
}

#[derive(Deserialize)]
struct Object {
    object: Option<Value>,
}

/// An endpoint at Extend, loaded into [`Event<R>`].
pub fn event<R: DeserializeOwned + Send + Sync + 'static>() -> ModelBuilder<Event<R>> {
    ModelBuilder::new()
}
