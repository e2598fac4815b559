use serde::Serialize;

use crate::provider::{OtherMembers, members::open_struct};

/// The options of an extraction that were on. An absent one is off (Mindee's `OpenAPI`, `active_options`).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ActiveOptions {
    /// The text of whole pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_text: Option<bool>,
    /// Where on the page a field was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub polygon: Option<bool>,
    /// How sure the model is of a field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<bool>,
    /// Retrieval of a similar document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rag: Option<bool>,
    /// Whether a text was given along with the file; the text itself is not echoed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_context: Option<bool>,
    /// What was changed about the model's schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_schema: Option<DataSchemaOptions>,
    /// Undocumented. Only chained extractions of the fixtures have it, though Mindee's `OpenAPI` requires it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub multipage_context: Option<bool>,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { ActiveOptions { raw_text, polygon, confidence, rag, text_context, data_schema, multipage_context } }

/// What was changed about a model's schema for one inference.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DataSchemaOptions {
    /// Whether another schema took its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replace: Option<bool>,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { DataSchemaOptions { replace } }
