//! Any sender that implements [Standard Webhooks](https://www.standardwebhooks.com): events with the headers
//! `webhook-id`, `webhook-timestamp` and `webhook-signature`.
//!
//! Some of these senders have their own module: [`openai`](super::openai), [`gemini`](super::gemini),
//! [`replicate`](super::replicate), [`reducto`](super::reducto), [`recall`](super::recall). Use this module for all
//! others.
//!
//! The specification only recommends a payload format, and senders deviate from it: `event`, `event_type` and
//! `eventType` are accepted instead of `type`, `payload` instead of `data`, and a number as the timestamp. An event
//! without data is decoded if the type of the data can be decoded from null.
//!
//! Sources: the specification and the libraries of `standard-webhooks/standard-webhooks`. The signature is tested with
//! the vector of its test suites.
//!
//! ```
//! use bytes::Bytes;
//! use serde::Deserialize;
//! use tower_inbox::provider::{Payload, standard::Event};
//!
//! #[derive(Deserialize)]
//! struct Labelled {
//!     image: String,
//! }
//!
//! let body = Bytes::from_static(
//!     br#"{"type": "image.labelled", "timestamp": "2026-03-01T09:00:00Z", "data": {"image": "i1"}}"#,
//! );
//! let event = Event::<Labelled>::decode(&body)?;
//! assert_eq!(event.kind.as_deref(), Some("image.labelled"));
//! assert_eq!(event.data.image, "i1");
//! # Ok::<(), tower_inbox::provider::DecodeError>(())
//! ```

use bytes::Bytes;
use serde::{
    Deserialize, Serialize, Serializer,
    de::{DeserializeOwned, Error, value::UnitDeserializer},
    ser::SerializeMap,
};
use serde_json::Value;

use super::{
    DecodeError, InferenceKey, ModelBuilder, OtherMembers, Payload, Profile, Provider,
    SignedProvider, decode_json,
    json::{Given, open_struct, unknown},
};
use crate::{
    delivery::Delivery,
    signature::{SecretSet, StandardWebhooks},
};

/// A sender that implements Standard Webhooks.
#[derive(Clone, Copy, Debug)]
pub struct Standard;

impl Provider for Standard {
    const NAME: &'static str = "standard-webhooks";

    /// Any status but 2xx is a failure, which is retried for days. Many failures disable an endpoint; a 410 disables it
    /// at once. Recommended timeout: 15 to 30 s (specification).
    const PROFILE: Profile = Profile::REPEATS_ON_4XX;
}

/// The scheme of the specification.
impl SignedProvider for Standard {
    type Scheme = StandardWebhooks;

    fn scheme(secrets: SecretSet) -> StandardWebhooks {
        StandardWebhooks::new(secrets)
    }
}

/// The member names of the event type, in order of preference.
const KINDS: [&str; 4] = ["type", "event", "event_type", "eventType"];

/// The member names of the event data, in order of preference.
const DATA: [&str; 2] = ["data", "payload"];

/// An event with data of type `D`, in the format that the specification recommends, with common deviations.
///
/// An event without data is decoded if `D` can be decoded from null, like `Option` and [`Value`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Event<D = Value> {
    /// The event type, with words separated by full stops, such as `invoice.paid`. In JSON: `type`, or else `event`,
    /// `event_type` or `eventType`.
    pub kind: Option<String>,
    /// The time of the event: ISO 8601 in the specification, a number from some senders. The time of sending is in the
    /// header.
    pub timestamp: Option<Value>,
    /// The data of the event. In JSON: `data`, or else `payload`.
    pub data: D,
    /// Members that are not in the specification.
    pub other: OtherMembers,
    kind_name: &'static str,
    data_name: &'static str,
}

/// Serializes the event with the member names of the sender.
impl<D: Serialize> Serialize for Event<D> {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        let mut object = json.serialize_map(None)?;
        if let Some(kind) = &self.kind {
            object.serialize_entry(self.kind_name, kind)?;
        }
        if let Some(timestamp) = &self.timestamp {
            object.serialize_entry("timestamp", timestamp)?;
        }
        object.serialize_entry(self.data_name, &self.data)?;
        for (name, value) in self.other.iter().filter(|_| !unknown::is_hidden()) {
            object.serialize_entry(name, value)?;
        }
        object.end()
    }
}

impl<D: DeserializeOwned + Send + Sync + 'static> Payload for Event<D> {
    type Provider = Standard;

    fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        let [data_name, payload_name] = DATA;
        let WithData { kind, timestamp, data, mut other } = decode_json(body)?;
        let (data, data_name) = match data {
            Given::Value(data) => (data, data_name),
            Given::Null | Given::Nothing if other.get(payload_name).is_some() => {
                drop(other.take(payload_name));
                (decode_json::<WithPayload<D>>(body)?.payload, payload_name)
            }
            Given::Null | Given::Nothing => (without_data()?, data_name),
        };
        let (kind, kind_name) = kind_of(kind, &mut other);
        Ok(Self { kind, timestamp, data, other, kind_name, data_name })
    }

    /// The event type, with the timestamp as the version: the body has no id.
    fn key(&self) -> InferenceKey {
        let time = self.timestamp.as_ref().map_or_else(String::new, |time| match time {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        InferenceKey::versioned(self.kind.as_deref().unwrap_or_default(), time)
    }

    /// `webhook-id` (or `svix-id`), which is the same in every attempt; without one, the digest of the body.
    fn key_of(&self, delivery: &Delivery) -> InferenceKey {
        message_id(delivery).map_or_else(|| InferenceKey::of_body(delivery), InferenceKey::new)
    }
}

struct WithData<D> {
    kind: Option<String>,
    timestamp: Option<Value>,
    data: Given<D>,
    other: OtherMembers,
}

open_struct! { WithData<D> { kind = "type", timestamp } strict { data } }

/// For a second pass over the body, which decodes only the payload.
#[derive(Deserialize)]
struct WithPayload<D> {
    payload: D,
}

/// Decodes `D` for an event without data.
fn without_data<D: DeserializeOwned>() -> Result<D, DecodeError> {
    D::deserialize(UnitDeserializer::<serde_json::Error>::new())
        .map_err(|_| DecodeError::new(None, Error::missing_field("data")))
}

/// Returns the event type and the name of its member. Under another name than `type`, only a string is an event type.
fn kind_of(kind: Option<String>, other: &mut OtherMembers) -> (Option<String>, &'static str) {
    let [first, others @ ..] = KINDS;
    if kind.is_some() {
        return (kind, first);
    }
    let is_text = |name: &&str| other.get(name).is_some_and(Value::is_string);
    match others.into_iter().find(is_text) {
        Some(name) => match other.take(name) {
            Some(Value::String(kind)) => (Some(kind), name),
            _ => (None, first),
        },
        None => (None, first),
    }
}

/// Starts a model whose sender implements Standard Webhooks, decoded to [`Event<D>`].
pub fn event<D: DeserializeOwned + Send + Sync + 'static>() -> ModelBuilder<Event<D>> {
    ModelBuilder::new()
}

/// The headers with the message id, in the order in which they are read if no id was verified: the name in the
/// specification, and the name of Svix.
const ID: [&str; 2] = ["webhook-id", "svix-id"];

/// The maximum length of an id from an unsigned header, in bytes.
const LONGEST: usize = 256;

/// Returns the message id, which is the same in every attempt: the verified id or, without one, the id in a header. The
/// verified id has precedence, so that an added header cannot change the key.
pub(super) fn message_id(delivery: &Delivery) -> Option<&str> {
    delivery.proof().message_id().or_else(|| in_headers(delivery))
}

fn in_headers(delivery: &Delivery) -> Option<&str> {
    let headers = delivery.head().headers();
    let name = ID.into_iter().find(|name| headers.contains_key(*name))?;
    let mut values = headers.get_all(name).iter();
    let id = values.next()?.to_str().ok()?;
    let is_id = values.next().is_none() && (1..=LONGEST).contains(&id.len());
    is_id.then_some(id)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use http::Request;

    use super::*;
    use crate::{
        delivery::{DeliveryId, Redaction},
        signature::Proof,
    };

    fn id_in(headers: &[(&str, &str)], proof: Proof) -> Option<String> {
        let (mut parts, body) = Request::post("/").body("{}".into()).unwrap().into_parts();
        for (name, value) in headers {
            let name: http::HeaderName = name.parse().unwrap();
            parts.headers.append(name, value.parse().unwrap());
        }
        let (id, model, at) = (DeliveryId::new(), "m".parse().unwrap(), SystemTime::UNIX_EPOCH);
        let delivery =
            Delivery::received(id, model, &parts, body, at, proof, &Redaction::default());
        message_id(&delivery).map(str::to_owned)
    }

    fn token() -> Proof {
        Proof::new("header-token", "main", "raw")
    }

    #[test]
    fn message_id_header_must_occur_once_and_have_a_valid_length() {
        let id_in = |headers| id_in(headers, token());
        assert_eq!(id_in(&[("webhook-id", "msg_1")]).unwrap(), "msg_1");
        assert_eq!(id_in(&[("svix-id", "msg_1")]).unwrap(), "msg_1");
        assert_eq!(id_in(&[("svix-id", "b"), ("webhook-id", "a")]).unwrap(), "a");
        assert_eq!(id_in(&[]), None);
        assert_eq!(id_in(&[("webhook-id", "")]), None);
        assert_eq!(id_in(&[("webhook-id", "a"), ("webhook-id", "b")]), None);
        assert_eq!(id_in(&[("webhook-id", &"a".repeat(257))]), None);
    }

    #[test]
    fn verified_message_id_has_precedence_over_headers() {
        let both = [("webhook-id", "by a stranger"), ("svix-id", "by svix")];
        let proved = token().with_message_id("by svix");
        assert_eq!(id_in(&both, proved).unwrap(), "by svix");
        assert_eq!(id_in(&both, token()).unwrap(), "by a stranger");
    }
}
