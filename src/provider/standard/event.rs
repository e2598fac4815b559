use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::message_id;
use crate::{
    delivery::Delivery,
    provider::{
        DecodeError, InferenceKey, ModelDraft, OtherMembers, Payload, Profile, Provider, Signs,
        decode_json,
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
impl Signs for Standard {
    type Scheme = StandardWebhooks;

    fn scheme(secrets: SecretSet) -> StandardWebhooks {
        StandardWebhooks::new(secrets)
    }
}

/// A thin event about `D`: the payload that the specification recommends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Event<D = Value> {
    /// What happened, in words that are joined by points, such as `invoice.paid`. On the wire it is `type`.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it happened, as ISO 8601. Not when it was sent: that is in the header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
    /// What it happened to.
    pub data: D,
    /// Members that the specification does not have, as they came.
    #[serde(flatten)]
    pub other: OtherMembers,
}

impl<D: DeserializeOwned + Send + Sync + 'static> Payload for Event<D> {
    type Provider = Standard;

    fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        decode_json(body)
    }

    /// The type, with the timestamp as the version: the body has no id.
    fn key(&self) -> InferenceKey {
        InferenceKey::versioned(&self.kind, self.timestamp.as_deref().unwrap_or_default())
    }

    /// `webhook-id` (or `svix-id`), which stays the same through all tries; without one the digest of the body.
    fn key_of(&self, delivery: &Delivery) -> InferenceKey {
        match message_id(delivery) {
            Some(id) => InferenceKey::new(id),
            None => InferenceKey::new(delivery.digest().to_string()),
        }
    }
}

/// A model whose sender follows Standard Webhooks, loaded into [`Event<D>`].
pub fn event<D: DeserializeOwned + Send + Sync + 'static>() -> ModelDraft<Event<D>> {
    ModelDraft::new()
}
