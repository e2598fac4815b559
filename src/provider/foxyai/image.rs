use std::time::SystemTime;

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, Unexpected},
};

use super::{Annotation, FoxyAi, ModelRun, ModelRuns, Status, moment};
use crate::provider::{
    DecodeError, InferenceKey, Listed, OtherMembers, Payload, Text, decode_json,
    members::open_struct, read::unless_null,
};

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
        self.updated_at.as_deref().and_then(moment::of)
    }

    /// Whether this is a later state of the same image than `other`: as of a [group](super::ImageGroup::is_newer_than).
    pub fn is_newer_than(&self, other: &Self) -> bool {
        let same_time = self.updated_at == other.updated_at;
        self.id == other.id && moment::is_newer(self.updated(), other.updated(), same_time)
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
