use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Annotation, Status};
use crate::provider::Listed;

/// An image, and what each model made of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Image {
    /// The id of the image, a UUID as text.
    #[serde(rename = "_id")]
    pub id: String,
    /// Where FoxyAI found it. May be signed, and so a secret for a while.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// A name. Absent in the recorded result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When it was added, as RFC 3339 with milliseconds and `Z`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// When it changed last, in the same form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<String>,
    /// The caller's words for it. Empty where absent or null.
    #[serde(default, skip_serializing_if = "Listed::is_absent")]
    pub tags: Listed<String>,
    /// The ids of its groups: an image may be in several. Empty where absent or null.
    #[serde(default, skip_serializing_if = "Listed::is_absent")]
    pub image_groups: Listed<String>,
    /// How far the image has come.
    pub status: Status,
    /// The runs of models, by the model's name, such as `condition_score`. They grow from post to post.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models: Option<BTreeMap<String, ModelRun>>,
}

impl Image {
    /// The run of the model of this name, such as `condition_score`.
    pub fn model(&self, name: &str) -> Option<&ModelRun> {
        self.models.as_ref()?.get(name)
    }

    /// All that the models found on the image.
    pub fn annotations(&self) -> impl Iterator<Item = &Annotation> {
        self.models.iter().flat_map(BTreeMap::values).flat_map(|run| &run.results)
    }
}

/// What one model made of an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ModelRun {
    /// The model's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The model's version, such as `1.0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// How far the run has come.
    pub status: Status,
    /// What was found. Empty where nothing was.
    #[serde(default, skip_serializing_if = "Listed::is_absent")]
    pub results: Listed<Annotation>,
}
