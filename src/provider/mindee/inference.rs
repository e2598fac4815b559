use serde::Serialize;

use crate::provider::{OtherMembers, Text, json::open_struct};

/// A processed inference with a result of type `R`: the member `inference` of all products.
///
/// Ids are strings: Mindee documents them as UUIDs, but some in its own fixtures are not.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Processed<R> {
    /// The id of the inference.
    pub id: Text,
    /// The job. Absent before 2026-01-28 (history of the fixtures).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<Job>,
    /// The model.
    pub model: ModelRef,
    /// The file.
    pub file: File,
    /// The prediction.
    pub result: R,
    /// The active options. Only extractions have them (Mindee's `OpenAPI`). They do not determine which members the
    /// result has: the fixtures contain members of inactive options, and lack members of active ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_options: Option<ActiveOptions>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
    /// Members next to `inference`. None are documented, but for a few days in 2026 `job` was there (history of the
    /// fixtures).
    #[serde(skip)]
    pub beside: OtherMembers,
}

open_struct! { Processed<R> { id, job, model, file, active_options; beside } strict { result } }

/// The job of an inference.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Job {
    /// The id that enqueuing returned, with which the caller can identify and fetch the inference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Text>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Job { id } }

/// The model of an inference.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ModelRef {
    /// The id that Mindee's dashboard shows. `None` if absent or null.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Text>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { nullable ModelRef { id } }

/// The file of an inference.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct File {
    /// The name of the file as sent. Null or absent for a source without a name, such as a URL. Mindee generates the
    /// name for a chained inference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// The tag set by the caller. Null or absent if none was set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<Text>,
    /// The number of pages, from 1. Absent before 2025-07-29 (history of the fixtures).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_count: Option<u32>,
    /// The media type that Mindee detected. Absent in old payloads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<Text>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { nullable File { name, alias, page_count, mime_type } }

/// The active options of an extraction. An absent option is inactive (Mindee's `OpenAPI`, `active_options`).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ActiveOptions {
    /// The full text of pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_text: Option<bool>,
    /// The locations of fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub polygon: Option<bool>,
    /// Confidence scores of fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<bool>,
    /// Retrieval of a similar document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rag: Option<bool>,
    /// Whether a text was sent with the file. The text itself is not returned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_context: Option<bool>,
    /// Changes to the model's schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_schema: Option<DataSchemaOptions>,
    /// Undocumented. Required by Mindee's `OpenAPI`, but in the fixtures only chained extractions have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub multipage_context: Option<bool>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { ActiveOptions { raw_text, polygon, confidence, rag, text_context, data_schema, multipage_context } }

/// Changes to a model's schema for one inference.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DataSchemaOptions {
    /// Whether another schema replaced it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replace: Option<bool>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { DataSchemaOptions { replace } }
