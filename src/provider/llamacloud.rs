//! LlamaCloud: events of jobs that parse, extract, classify or split documents.
//!
//! Unless `webhook_output_format` sets another format, an event is sent as a JSON string that contains JSON. Both
//! formats are decoded; the object is serialized. The older parse webhook, which sends a whole result as `{txt, md,
//! json, images}`, is not supported: implement [`Payload`] for it.
//!
//! Sources: LlamaCloud's pages on webhooks. The exact bytes, such as the string format, are second-hand. The tests use
//! signatures of our own.
//!
//! ```
//! use bytes::Bytes;
//! use tower_inbox::provider::{Payload, llamacloud::Event};
//!
//! let object = r#"{"event_id": "e1", "event_type": "parse.success", "timestamp": 1772355600.5, "data": {"job_id": "j1"}}"#;
//! let string = serde_json::to_string(object)?;
//! let event = Event::decode(&Bytes::from(string))?;
//! assert_eq!(event.kind.as_deref(), Some("parse.success"));
//! assert_eq!(event.job_id(), Some("j1"));
//! assert_eq!(event, Event::decode(&Bytes::from(object))?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::time::Duration;

use bytes::Bytes;
use http::HeaderName;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Number, Value};

use super::{
    DecodeError, InferenceKey, ModelBuilder, OtherMembers, Payload, Profile, Provider,
    SignedProvider, decode_json, json::open_struct,
};
use crate::signature::{HmacBody, SecretSet};

/// The signature header (second-hand).
const SIGNATURE: HeaderName = HeaderName::from_static("lc-signature");

/// The tolerant reading also skips it before the string.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// LlamaCloud.
#[derive(Clone, Copy, Debug)]
pub struct LlamaCloud;

impl Provider for LlamaCloud {
    const NAME: &'static str = "llamacloud";

    /// Timeout: 30 s. Three retries, after 1, 2 and 4 s (second-hand).
    const PROFILE: Profile = Profile::REPEATS_ON_4XX
        .answered_within(Duration::from_secs(30))
        .tried_for(Duration::from_secs(7));
}

/// HMAC-SHA256 of the body, in hexadecimal with the prefix `sha256=`, if a `webhook_signing_secret` is set
/// (second-hand). Older configurations use headers chosen by the caller.
impl SignedProvider for LlamaCloud {
    type Scheme = HmacBody;

    fn scheme(secrets: SecretSet) -> HmacBody {
        HmacBody::new(SIGNATURE, secrets).prefix("sha256=")
    }
}

/// An event of a job, with data of type `D`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Event<D = Value> {
    /// The id of the event.
    pub event_id: String,
    /// The event type, such as `parse.success`, `extract.error` or `extract.partial_success`. In JSON: `event_type`.
    #[serde(rename = "event_type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The time of the event, in seconds since 1970, with a fraction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Number>,
    /// The data of the event.
    pub data: D,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Event<D> { event_id, kind = "event_type", timestamp } strict { data } }

impl Event {
    /// Returns the id of the job, with which the result can be fetched: `data.job_id`, or else `data.id`.
    pub fn job_id(&self) -> Option<&str> {
        let id = self.data.get("job_id").or_else(|| self.data.get("id"));
        id.and_then(Value::as_str)
    }
}

impl<D: DeserializeOwned + Send + Sync + 'static> Payload for Event<D> {
    type Provider = LlamaCloud;

    fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        let text = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
        if text.trim_ascii_start().starts_with(b"\"") {
            let inner: String = decode_json(body)?;
            decode_json(inner.as_bytes())
        } else {
            decode_json(body)
        }
    }

    /// `event_id`. The header `X-Webhook-Event-ID` has the same value, but is not signed.
    fn key(&self) -> InferenceKey {
        InferenceKey::new(&self.event_id)
    }
}

/// Starts a model for jobs at LlamaCloud, decoded to [`Event<D>`].
pub fn event<D: DeserializeOwned + Send + Sync + 'static>() -> ModelBuilder<Event<D>> {
    ModelBuilder::new()
}
