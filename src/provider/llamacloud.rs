//! LlamaCloud: thin events of jobs that parse, extract, classify or split documents.
//!
//! Unless `webhook_output_format` says otherwise, an event is posted as a JSON string that holds JSON. Both forms are
//! read; what is written again is the object. The older parse hook, which posts a whole result as
//! `{txt, md, json, images}`, is not this: a [`Payload`] of your own reads it.
//!
//! Sources: LlamaCloud's pages on webhooks, read; of the bytes on the wire, the string form among them, there is only
//! second-hand evidence. The signature is verified with signatures of our own.
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

/// Where the signature stands (second-hand).
const SIGNATURE: HeaderName = HeaderName::from_static("lc-signature");

/// May come before the string, too: the tolerant reading skips it.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// LlamaCloud.
#[derive(Clone, Copy, Debug)]
pub struct LlamaCloud;

impl Provider for LlamaCloud {
    const NAME: &'static str = "llamacloud";

    /// Waits for 30 seconds for a 2xx; tries three times, 1, 2 and 4 seconds apart (second-hand).
    const PROFILE: Profile = Profile::REPEATS_ON_4XX
        .answered_within(Duration::from_secs(30))
        .tried_for(Duration::from_secs(7));
}

/// HMAC-SHA256 of the body, in hexadecimal behind `sha256=`, where a `webhook_signing_secret` is set (second-hand). Older
/// configurations have headers of the caller's choice instead.
impl SignedProvider for LlamaCloud {
    type Scheme = HmacBody;

    fn scheme(secrets: SecretSet) -> HmacBody {
        HmacBody::new(SIGNATURE, secrets).prefix("sha256=")
    }
}

/// An event of a job, about `D`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Event<D = Value> {
    /// The id of the event.
    pub event_id: String,
    /// The kind of job and what became of it: `parse.success`, `extract.error`, `extract.partial_success` and so on.
    /// On the wire it is `event_type`.
    #[serde(rename = "event_type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// When, in seconds since 1970, with decimals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Number>,
    /// What it is about.
    pub data: D,
    /// Members that are not known here, as they came.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Event<D> { event_id, kind = "event_type", timestamp } strict { data } }

impl Event {
    /// The id of the job, to fetch the result with: `data.job_id`, or else `data.id`.
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

    /// `event_id`. The header `X-Webhook-Event-ID` says the same, but is not signed.
    fn key(&self) -> InferenceKey {
        InferenceKey::new(&self.event_id)
    }
}

/// A job at LlamaCloud, loaded into [`Event<D>`].
pub fn event<D: DeserializeOwned + Send + Sync + 'static>() -> ModelBuilder<Event<D>> {
    ModelBuilder::new()
}
