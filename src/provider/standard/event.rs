use bytes::Bytes;
use serde::{
    Deserialize, Serialize, Serializer,
    de::{DeserializeOwned, Error, value::UnitDeserializer},
    ser::SerializeMap,
};
use serde_json::Value;

use super::message_id;
use crate::{
    delivery::Delivery,
    provider::{
        DecodeError, InferenceKey, ModelBuilder, OtherMembers, Payload, Profile, Provider, SignedProvider,
        decode_json, known, members::open_struct, read::Given,
    },
    signature::{SecretSet, StandardWebhooks},
};

/// Whoever follows Standard Webhooks.
#[derive(Clone, Copy, Debug)]
pub struct Standard;

impl Provider for Standard {
    const NAME: &'static str = "standard-webhooks";

    /// Anything but a 2xx is a failure that is tried again for days, and many failures disable an endpoint; a 410
    /// disables it at once (specification). Senders are advised to wait for 15 to 30 seconds.
    const PROFILE: Profile = Profile::REPEATS_ON_4XX;
}

/// As the specification says.
impl SignedProvider for Standard {
    type Scheme = StandardWebhooks;

    fn scheme(secrets: SecretSet) -> StandardWebhooks {
        StandardWebhooks::new(secrets)
    }
}

/// What senders call the type of an event, in the order of preference.
const KINDS: [&str; 4] = ["type", "event", "event_type", "eventType"];

/// What senders call the data of an event, in the order of preference.
const DATA: [&str; 2] = ["data", "payload"];

/// A thin event about `D`: the payload that the specification recommends, and what senders make of it.
///
/// An event without data is read if `D` can be read from null, as `Option` and [`Value`] can.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Event<D = Value> {
    /// What happened, in words that are joined by points, such as `invoice.paid`. On the wire it is `type`; where there
    /// is none, `event`, `event_type` or `eventType`.
    pub kind: Option<String>,
    /// When it happened: ISO 8601 in the specification, a number from some senders. Not when it was sent: that is in the
    /// header.
    pub timestamp: Option<Value>,
    /// What it happened to. On the wire it is `data`; where there is none, `payload`.
    pub data: D,
    /// Members that the specification does not have, as they came.
    pub other: OtherMembers,
    kind_name: &'static str,
    data_name: &'static str,
}

/// With the names that it came with.
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
        for (name, value) in self.other.iter().filter(|_| !known::only()) {
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

    /// The type, with the timestamp as the version: the body has no id.
    fn key(&self) -> InferenceKey {
        let time = self.timestamp.as_ref().map_or_else(String::new, |time| match time {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        InferenceKey::versioned(self.kind.as_deref().unwrap_or_default(), time)
    }

    /// `webhook-id` (or `svix-id`), which stays the same through all tries; without one the digest of the body.
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

/// For a second pass over a body, for its payload alone.
#[derive(Deserialize)]
struct WithPayload<D> {
    payload: D,
}

/// What `D` makes of an event that has no data.
fn without_data<D: DeserializeOwned>() -> Result<D, DecodeError> {
    D::deserialize(UnitDeserializer::<serde_json::Error>::new())
        .map_err(|_| DecodeError::new(None, Error::missing_field("data")))
}

/// The type of an event, and the name that it came with. Only a text under another name than `type` is one.
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

/// A model whose sender follows Standard Webhooks, loaded into [`Event<D>`].
pub fn event<D: DeserializeOwned + Send + Sync + 'static>() -> ModelBuilder<Event<D>> {
    ModelBuilder::new()
}
