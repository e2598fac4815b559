use serde::Serialize;

use crate::provider::{OtherMembers, Text, json::open_struct};

/// An inference with its result of type `R`: what Mindee calls `inference`, in all of its products.
///
/// Ids are text: Mindee describes them as UUIDs, but not all that its own fixtures hold are.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Processed<R> {
    /// The id of the inference.
    pub id: Text,
    /// The job that was enqueued for it. Absent before 2026-01-28 (history of the fixtures).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<Job>,
    /// The model that made it.
    pub model: ModelRef,
    /// The file that it is about.
    pub file: File,
    /// What was found.
    pub result: R,
    /// The options that were on. Only extractions have them (Mindee's `OpenAPI`). They do not tell which members of the
    /// result are filled: the fixtures show members of options that are off, and the other way round.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_options: Option<ActiveOptions>,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
    /// Members beside `inference`. None are known, but for a few days in 2026 `job` stood there (history of the
    /// fixtures).
    #[serde(skip)]
    pub beside: OtherMembers,
}

open_struct! { Processed<R> { id, job, model, file, active_options; beside } strict { result } }

/// The job of an inference.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Job {
    /// What enqueuing returned: by it the caller knows the inference again, and can fetch it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Text>,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Job { id } }

/// The model of an inference.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ModelRef {
    /// The id that Mindee's dashboard shows. None where it is absent or null.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Text>,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { nullable ModelRef { id } }

/// The file of an inference.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct File {
    /// The name that it was sent with. Null or absent for a source without one, such as a URL. A chained inference has a
    /// name of Mindee's own making.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// The caller's tag, echoed. Null or absent where none was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<Text>,
    /// The number of pages, from 1. Absent before 2025-07-29 (history of the fixtures).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_count: Option<u32>,
    /// The media type that Mindee detected. Absent in old payloads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<Text>,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { nullable File { name, alias, page_count, mime_type } }

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
