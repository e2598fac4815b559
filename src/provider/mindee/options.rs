use serde::{Deserialize, Serialize};

use crate::provider::read::null_is_default;

/// The options of an extraction that were on. An absent one is off (Mindee's `OpenAPI`, `active_options`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
#[expect(clippy::struct_excessive_bools, reason = "the options are Mindee's")]
pub struct ActiveOptions {
    /// The text of whole pages.
    #[serde(deserialize_with = "null_is_default")]
    pub raw_text: bool,
    /// Where on the page a field was found.
    #[serde(deserialize_with = "null_is_default")]
    pub polygon: bool,
    /// How sure the model is of a field.
    #[serde(deserialize_with = "null_is_default")]
    pub confidence: bool,
    /// Retrieval of a similar document.
    #[serde(deserialize_with = "null_is_default")]
    pub rag: bool,
    /// Whether a text was given along with the file; the text itself is not echoed.
    #[serde(deserialize_with = "null_is_default")]
    pub text_context: bool,
    /// What was changed about the model's schema.
    #[serde(deserialize_with = "null_is_default")]
    pub data_schema: DataSchemaOptions,
    /// Undocumented. Only chained extractions of the fixtures have it, though Mindee's `OpenAPI` requires it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub multipage_context: Option<bool>,
}

/// What was changed about a model's schema for one inference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct DataSchemaOptions {
    /// Whether another schema took its place.
    #[serde(deserialize_with = "null_is_default")]
    pub replace: bool,
}
