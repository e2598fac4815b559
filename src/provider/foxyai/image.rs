use std::{collections::BTreeMap, fmt, ops::Deref, time::SystemTime};

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, MapAccess, Unexpected, Visitor},
};

use super::{Annotation, FoxyAi, ModelRun, ModelRuns, Status, timestamp};
use crate::{
    delivery::Delivery,
    provider::{
        DecodeError, InferenceKey, Listed, OtherMembers, Payload, Text, decode_json,
        json::{open_struct, tolerant, unless_null},
    },
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
        self.updated_at.as_deref().and_then(timestamp::of)
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
        self.id == other.id && timestamp::is_newer(self.updated(), other.updated(), same_time)
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

/// An image, and what each model made of it.
///
/// An image that was sent as its id, a text, has no other members.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Image {
    /// The id of the image, a UUID as text.
    #[serde(rename = "_id")]
    pub id: Text,
    /// Where FoxyAI found it. May be signed, and so a secret for a while.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Text>,
    /// A name. Absent in the recorded result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// When it was added, as RFC 3339 with milliseconds and `Z`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Text>,
    /// When it changed last, in the same form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Text>,
    /// The caller's words for it. Empty where absent or null.
    #[serde(skip_serializing_if = "Listed::is_absent")]
    pub tags: Listed<Text>,
    /// The ids of its groups: an image may be in several. Empty where absent or null.
    #[serde(skip_serializing_if = "Listed::is_absent")]
    pub image_groups: Listed<Text>,
    /// How far the image has come. Absent in some failures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// The runs of models, by the model's name, such as `condition_score`. They grow from post to post. Empty where absent
    /// or null.
    #[serde(skip_serializing_if = "ModelRuns::is_absent")]
    pub models: ModelRuns,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { or_id Image { id = "_id" | "id", url, name, created_at = "createdAt", updated_at = "updatedAt", tags, image_groups = "imageGroups", status, models } }

impl Image {
    /// An image that was sent as its id only.
    fn of_id(id: &str) -> Self {
        Self { id: id.into(), ..Self::default() }
    }

    /// The run of the model of this name, such as `condition_score`.
    pub fn model(&self, name: &str) -> Option<&ModelRun> {
        self.models.get(name)
    }

    /// When the image changed last. None where `updatedAt` is absent, or not a time of RFC 3339.
    pub fn updated(&self) -> Option<SystemTime> {
        self.updated_at.as_deref().and_then(timestamp::of)
    }

    /// Whether this is a later state of the same image than `other`: as of a [group](super::ImageGroup::is_newer_than).
    pub fn is_newer_than(&self, other: &Self) -> bool {
        let same_time = self.updated_at == other.updated_at;
        self.id == other.id && timestamp::is_newer(self.updated(), other.updated(), same_time)
    }

    /// All that the models found on the image.
    pub fn annotations(&self) -> impl Iterator<Item = &Annotation> {
        self.models.values().flat_map(|run| run.results.iter())
    }
}

/// An image that was created by itself. What is posted was never seen; it is taken to be what stands in a group.
impl Payload for Image {
    type Provider = FoxyAi;

    /// A group has an id and a status, too, but also `images`: it is none.
    fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        let Posted(image) = decode_json(body)?;
        if image.other.get("images").is_some() {
            let expected = &"an image, which has no `images`";
            return Err(DecodeError::new(None, Error::invalid_value(Unexpected::Map, expected)));
        }
        Ok(image)
    }

    /// `_id`, with `updatedAt` as the version: each state of an image is handled.
    fn key(&self) -> InferenceKey {
        match &self.updated_at {
            Some(updated_at) => InferenceKey::versioned(&self.id, updated_at),
            None => InferenceKey::new(&self.id),
        }
    }
}

/// An image as it is posted: a text does not stand for it.
struct Posted(Image);

impl<'de> Deserialize<'de> for Posted {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        let image = unless_null(json)?.map(Self);
        image.ok_or_else(|| D::Error::invalid_type(Unexpected::Unit, &"an object"))
    }
}

/// Means over the images of a group, by name for people: rooms such as `Kitchen`, and `Interior`, `Exterior`,
/// `ImageGroupCondition` and `ImageGroupQuality`. A room without images is absent or null, which is what JavaScript
/// writes for the mean of nothing.
///
/// Derefs to a map.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Means(BTreeMap<Text, Option<f64>>);

impl Deref for Means {
    type Target = BTreeMap<Text, Option<f64>>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Means {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_map(MeansVisitor)
    }
}

struct MeansVisitor;

impl<'de> Visitor<'de> for MeansVisitor {
    type Value = Means;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of numbers")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut means: A) -> Result<Means, A::Error> {
        tolerant::entries(&mut means).map(Means)
    }
}

/// Means over the images of a group.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ComputedMetrics {
    /// The mean condition score of each room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<Means>,
    /// The mean quality score of each room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<Means>,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { ComputedMetrics { condition, quality } }
