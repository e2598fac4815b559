use serde::Serialize;

use super::{FailedInference, Fields, Response};
use crate::provider::{Listed, OtherMembers, Text, members::open_struct};

/// What an extraction model posts. `F` is a struct of your own, or [`Fields`] for whatever comes.
pub type Extraction<F = Fields> = Response<ExtractionResult<F>>;

impl<F> Extraction<F> {
    /// The fields, or why there are none.
    ///
    /// # Errors
    ///
    /// If the inference failed.
    pub fn fields(&self) -> Result<&F, &FailedInference> {
        self.result().map(|result| &*result.fields)
    }
}

/// The result of an extraction. Only `fields` is always there (Mindee's `OpenAPI`).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ExtractionResult<F> {
    /// The fields of the model's schema.
    pub fields: Box<F>,
    /// The text of the pages. Null or absent unless the option is on, and in one fixture even then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_text: Option<RawText>,
    /// The document that was retrieved to help. Null or absent unless the option is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rag: Option<Rag>,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { ExtractionResult<F> { raw_text, rag } strict { fields } }

/// The text of a file, page by page (fixture `v2/extraction/raw_texts.json`).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RawText {
    /// The pages, in order. Empty where absent or null.
    #[serde(skip_serializing_if = "Listed::is_absent")]
    pub pages: Listed<RawPage>,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { RawText { pages } }

/// The text of a page.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RawPage {
    /// The text, its lines separated by `\n`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<Text>,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { RawPage { content } }

/// What retrieval found.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Rag {
    /// The id of the document. Null or absent where none matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retrieved_document_id: Option<Text>,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Rag { retrieved_document_id } }
