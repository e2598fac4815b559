//! Extend: documents in, fields out.
//!
//! A run is sent as a whole or, above a size that the endpoint sets, as a signed URL that expires after an hour: fetch
//! it in the handler.
//!
//! Sources: Extend's pages on webhooks and the verifiers of its client libraries. No real body was available: the tests
//! use bodies and signatures of our own, made as those verifiers expect.
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

/// The signature header (client libraries).
const SIGNATURE: HeaderName = HeaderName::from_static("x-extend-request-signature");

/// The timestamp header (client libraries).
const TIMESTAMP: HeaderName = HeaderName::from_static("x-extend-request-timestamp");

/// The maximum time by which a signature may be in the future (client libraries).
const FURTHEST: Duration = Duration::from_secs(60);

/// Extend.
#[derive(Clone, Copy, Debug)]
pub struct Extend;

impl Provider for Extend {
    const NAME: &'static str = "extend";

    /// Timeout: 30 s (page on best practices). Its reaction to a 4xx is unknown.
    const PROFILE: Profile = Profile::UNPUBLISHED.answered_within(Duration::from_secs(30));
}

/// HMAC-SHA256 of `v0`, timestamp and body, in hexadecimal. Tolerance: 300 s in the past and 60 s in the future (client
/// libraries).
impl SignedProvider for Extend {
    type Scheme = HmacTemplate;

    fn scheme(secrets: SecretSet) -> HmacTemplate {
        let placement = Placement::headers(SIGNATURE, TIMESTAMP);
        HmacTemplate::new("v0:{timestamp}:{body}", placement, secrets)
            .tolerance(Tolerance::default().future(FURTHEST))
    }
}

/// An event with a run of type `R`, or with the URL of the run.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Event<R = Value> {
    /// An event that contains the run.
    Whole(Envelope<R>),
    /// An event that contains the URL of the run.
    Link(Envelope<SignedUrl>),
}

/// The envelope of an event.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Envelope<P> {
    /// The id of the event.
    pub event_id: String,
    /// The event type, such as `extract_run.processed` or `workflow_run.completed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// The data of the event.
    pub payload: P,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Envelope<P> { event_id = "eventId", event_type = "eventType" } strict { payload } }

/// The URL of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SignedUrl {
    /// The signed URL. It is a secret, and expires after an hour.
    #[serde(rename = "data")]
    pub url: Redacted,
    /// The id of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The metadata of the run. Absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
    /// Unknown members, and `object`, which is `signed_data_url`.
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

/// The member that determines the type of the payload.
#[derive(Deserialize)]
struct Peek {
    payload: Object,
}

#[derive(Deserialize)]
struct Object {
    object: Option<Value>,
}

/// Starts a model for an endpoint at Extend, decoded to [`Event<R>`].
pub fn event<R: DeserializeOwned + Send + Sync + 'static>() -> ModelBuilder<Event<R>> {
    ModelBuilder::new()
}
