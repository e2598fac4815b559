use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Map;

use super::{ComputedMetrics, FoxyAi, Image, Status};
use crate::provider::{DecodeError, InferenceKey, Payload, decode_json, read::null_is_default};

/// A group of images with all that is known of them at one moment.
///
/// FoxyAI posts it again, as a whole, whenever it was updated: what tells the states of a group apart is `updated_at`,
/// which is a part of the [key](Payload::key). Only `_id`, `updatedAt`, `status` and `images` must be there: a
/// posted body was never seen, and a single image, which has no `images`, must not pass for a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ImageGroup {
    /// The id of the group, a UUID as text.
    #[serde(rename = "_id")]
    pub id: String,
    /// The name that the caller gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When the group was made, as RFC 3339 with milliseconds and `Z`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// When the group changed last, in the same form. Of several deliveries the one with the latest counts.
    pub updated_at: String,
    /// How far the group has come.
    pub status: Status,
    /// The images.
    #[serde(deserialize_with = "null_is_default")]
    pub images: Vec<Image>,
    /// What the caller gave along, echoed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meta_data: Option<Map<String, serde_json::Value>>,
    /// Means over the images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub computed_metrics: Option<ComputedMetrics>,
    /// In the interface of the client app only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// In the interface of the client app only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub property_id: Option<String>,
    /// In the interface of the client app only; its recorded result has one inside of `metaData`.
    #[serde(rename = "avv_status", skip_serializing_if = "Option::is_none")]
    pub avv_status: Option<serde_json::Value>,
}

impl Payload for ImageGroup {
    type Provider = FoxyAi;

    fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        decode_json(body)
    }

    /// `_id`, with `updatedAt` as the version: each state of a group is handled.
    fn key(&self) -> InferenceKey {
        InferenceKey::versioned(&self.id, &self.updated_at)
    }
}
