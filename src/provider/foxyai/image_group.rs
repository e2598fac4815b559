use std::time::SystemTime;

use bytes::Bytes;
use serde::{
    Serialize,
    de::{Error, Unexpected},
};

use super::{ComputedMetrics, FoxyAi, Image, Status, moment};
use crate::delivery::Delivery;
use crate::provider::{
    DecodeError, InferenceKey, Listed, OtherMembers, Payload, Text, decode_json,
    members::open_struct,
};

/// A group of images with all that is known of them at one moment.
///
/// FoxyAI posts it again, as a whole, whenever it was updated: what tells the states of a group apart is `updated_at`,
/// which is a part of the [key](Payload::key). Only `_id`, or `id`, must be there, since a posted body was never
/// seen. A single image does not pass for a group.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ImageGroup {
    /// The id of the group, a UUID as text.
    #[serde(rename = "_id")]
    pub id: Text,
    /// The name that the caller gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// When the group was made, as RFC 3339 with milliseconds and `Z`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Text>,
    /// When the group changed last, in the same form. Of several deliveries the one with the latest counts: as a time,
    /// not as a text ([`updated`](Self::updated)).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Text>,
    /// How far the group has come. None where it is absent or null.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// The images. Empty where absent or null.
    #[serde(skip_serializing_if = "Listed::is_absent")]
    pub images: Listed<Image>,
    /// What the caller gave along, echoed: any JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meta_data: Option<serde_json::Value>,
    /// Means over the images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub computed_metrics: Option<ComputedMetrics>,
    /// In the interface of the client app only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Text>,
    /// In the interface of the client app only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub property_id: Option<Text>,
    /// In the interface of the client app only; its recorded result has one inside of `metaData`.
    #[serde(rename = "avv_status", skip_serializing_if = "Option::is_none")]
    pub avv_status: Option<serde_json::Value>,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { ImageGroup { id = "_id" | "id", name, created_at = "createdAt", updated_at = "updatedAt", status, images, meta_data = "metaData", computed_metrics = "computedMetrics", url, property_id = "propertyId", avv_status } }

impl ImageGroup {
    /// When the group changed last. None where `updatedAt` is absent, or not a time of RFC 3339.
    pub fn updated(&self) -> Option<SystemTime> {
        self.updated_at.as_deref().and_then(moment::of)
    }

    /// Whether this is a later state of the same group than `other`: FoxyAI may post an older one after a newer one. A
    /// state whose time cannot be read is taken for a newer one unless it says the same time: nothing is to be lost.
    ///
    /// ```
    /// use tower_inbox::provider::foxyai::ImageGroup;
    ///
    /// let at = |time: &str| -> serde_json::Result<ImageGroup> {
    ///     serde_json::from_value(serde_json::json!({"_id": "g1", "status": "completed", "updatedAt": time}))
    /// };
    /// // As texts they would be in the other order.
    /// assert!(at("2026-03-01T09:00:07.250Z")?.is_newer_than(&at("2026-03-01T09:00:07Z")?));
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn is_newer_than(&self, other: &Self) -> bool {
        let same_time = self.updated_at == other.updated_at;
        self.id == other.id && moment::is_newer(self.updated(), other.updated(), same_time)
    }
}

impl Payload for ImageGroup {
    type Provider = FoxyAi;

    /// An image has an id and a status, too, but also `models`: it is none.
    fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        let group: Self = decode_json(body)?;
        if group.other.get("models").is_some() {
            let expected = &"a group of images, which has no `models`";
            return Err(DecodeError::new(None, Error::invalid_value(Unexpected::Map, expected)));
        }
        Ok(group)
    }

    /// `_id`, with `updatedAt` as the version: each state of a group is handled.
    fn key(&self) -> InferenceKey {
        match &self.updated_at {
            Some(updated_at) => InferenceKey::versioned(&self.id, updated_at),
            None => InferenceKey::new(&self.id),
        }
    }

    /// The same; without `updatedAt` the digest of the body is the version.
    fn key_of(&self, delivery: &Delivery) -> InferenceKey {
        match &self.updated_at {
            Some(_) => self.key(),
            None => InferenceKey::versioned(&self.id, delivery.digest().to_string()),
        }
    }
}
