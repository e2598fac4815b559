use std::{borrow::Cow, collections::BTreeMap, fmt, ops::Deref, time::SystemTime};

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

/// A group of images, and their results at one point in time.
///
/// FoxyAI sends the whole group after each update. `updated_at` distinguishes the states of a group, and is part of the
/// [key](Payload::key). Only `_id`, or `id`, is required, because no real body was available. A single image is not
/// accepted as a group.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ImageGroup {
    /// The id of the group, a UUID.
    #[serde(rename = "_id")]
    pub id: Text,
    /// The name set by the caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// The creation time, in RFC 3339 format with milliseconds and `Z`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Text>,
    /// The time of the last update, in the same format. The delivery with the latest time is the current state. Compare
    /// times, not strings ([`updated`](Self::updated)).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Text>,
    /// The status of the group. `None` if absent or null.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// The images. Empty if absent or null.
    #[serde(skip_serializing_if = "Listed::is_absent")]
    pub images: Listed<Image>,
    /// The caller's metadata: any JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meta_data: Option<serde_json::Value>,
    /// Mean scores of the images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub computed_metrics: Option<ComputedMetrics>,
    /// Only in the interface of the client app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Text>,
    /// Only in the interface of the client app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub property_id: Option<Text>,
    /// Only in the interface of the client app; its recorded result has one in `metaData`.
    #[serde(rename = "avv_status", skip_serializing_if = "Option::is_none")]
    pub avv_status: Option<serde_json::Value>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { ImageGroup { id = "_id" | "id", name, created_at = "createdAt", updated_at = "updatedAt", status, images, meta_data = "metaData", computed_metrics = "computedMetrics", url, property_id = "propertyId", avv_status } }

impl ImageGroup {
    /// Returns the time of the last update. `None` if `updatedAt` is absent or not in RFC 3339 format.
    pub fn updated(&self) -> Option<SystemTime> {
        self.updated_at.as_deref().and_then(timestamp::of)
    }

    /// Returns whether this is a later state of the group than `other`: FoxyAI can send an older state after a newer
    /// one. A state with an invalid time is newer unless both times are equal, so that no state is lost.
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

    /// An image also has an id and a status, but only an image has `models`.
    fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        let group: Self = decode_json(body)?;
        if group.other.get("models").is_some() {
            let expected = &"a group of images, which has no `models`";
            return Err(DecodeError::new(None, Error::invalid_value(Unexpected::Map, expected)));
        }
        Ok(group)
    }

    /// `_id`, with `updatedAt` as the version: every state of a group is handled.
    fn key(&self) -> InferenceKey {
        match &self.updated_at {
            Some(updated_at) => InferenceKey::versioned(&self.id, updated_at),
            None => InferenceKey::new(&self.id),
        }
    }

    /// `_id`, if no results will follow.
    fn requested_id(&self) -> Option<Cow<'_, str>> {
        let is_final = self.status.as_ref().is_none_or(Status::is_final);
        is_final.then_some(Cow::Borrowed(&self.id))
    }

    /// The same key; without `updatedAt`, the version is the digest of the body.
    fn key_of(&self, delivery: &Delivery) -> InferenceKey {
        match &self.updated_at {
            Some(_) => self.key(),
            None => InferenceKey::versioned(&self.id, delivery.digest().to_string()),
        }
    }
}

/// An image and the results of each model.
///
/// An image that is sent as its id, a string, has no other members.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Image {
    /// The id of the image, a UUID.
    #[serde(rename = "_id")]
    pub id: Text,
    /// The URL of the image. It may be signed: treat it as a secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Text>,
    /// The name. Absent from the recorded result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// The creation time, in RFC 3339 format with milliseconds and `Z`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Text>,
    /// The time of the last update, in the same format.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Text>,
    /// The tags set by the caller. Empty if absent or null.
    #[serde(skip_serializing_if = "Listed::is_absent")]
    pub tags: Listed<Text>,
    /// The ids of the groups that contain the image. Empty if absent or null.
    #[serde(skip_serializing_if = "Listed::is_absent")]
    pub image_groups: Listed<Text>,
    /// The status of the image. Absent from some failures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// The model runs, by the name of the model, such as `condition_score`. Later deliveries contain more of them.
    /// Empty if absent or null.
    #[serde(skip_serializing_if = "ModelRuns::is_absent")]
    pub models: ModelRuns,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { or_id Image { id = "_id" | "id", url, name, created_at = "createdAt", updated_at = "updatedAt", tags, image_groups = "imageGroups", status, models } }

impl Image {
    /// Creates an image that was sent as its id.
    fn of_id(id: &str) -> Self {
        Self { id: id.into(), ..Self::default() }
    }

    /// Returns the run of the model of this name, such as `condition_score`.
    pub fn model(&self, name: &str) -> Option<&ModelRun> {
        self.models.get(name)
    }

    /// Returns the time of the last update. `None` if `updatedAt` is absent or not in RFC 3339 format.
    pub fn updated(&self) -> Option<SystemTime> {
        self.updated_at.as_deref().and_then(timestamp::of)
    }

    /// Returns whether this is a later state of the image than `other`, like
    /// [`ImageGroup::is_newer_than`](super::ImageGroup::is_newer_than).
    pub fn is_newer_than(&self, other: &Self) -> bool {
        let same_time = self.updated_at == other.updated_at;
        self.id == other.id && timestamp::is_newer(self.updated(), other.updated(), same_time)
    }

    /// Returns the annotations of all models.
    pub fn annotations(&self) -> impl Iterator<Item = &Annotation> {
        self.models.values().flat_map(|run| run.results.iter())
    }
}

/// An image without a group. No real body was available: it is assumed to have the format of an image in a group.
impl Payload for Image {
    type Provider = FoxyAi;

    /// A group also has an id and a status, but only a group has `images`.
    fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        let Posted(image) = decode_json(body)?;
        if image.other.get("images").is_some() {
            let expected = &"an image, which has no `images`";
            return Err(DecodeError::new(None, Error::invalid_value(Unexpected::Map, expected)));
        }
        Ok(image)
    }

    /// `_id`, with `updatedAt` as the version: every state of an image is handled.
    fn key(&self) -> InferenceKey {
        match &self.updated_at {
            Some(updated_at) => InferenceKey::versioned(&self.id, updated_at),
            None => InferenceKey::new(&self.id),
        }
    }

    /// `_id`, if no results will follow.
    fn requested_id(&self) -> Option<Cow<'_, str>> {
        let is_final = self.status.as_ref().is_none_or(Status::is_final);
        is_final.then_some(Cow::Borrowed(&self.id))
    }
}

/// An image as a body, which cannot be a string.
struct Posted(Image);

impl<'de> Deserialize<'de> for Posted {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        let image = unless_null(json)?.map(Self);
        image.ok_or_else(|| D::Error::invalid_type(Unexpected::Unit, &"an object"))
    }
}

/// Mean scores of the images of a group, by name: rooms such as `Kitchen`, and `Interior`, `Exterior`,
/// `ImageGroupCondition` and `ImageGroupQuality`. A room without images is absent or null.
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

/// Mean scores of the images of a group.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ComputedMetrics {
    /// The mean condition score of each room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<Means>,
    /// The mean quality score of each room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<Means>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { ComputedMetrics { condition, quality } }
