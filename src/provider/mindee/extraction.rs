use serde::{Deserialize, Serialize};

use super::{FailedInference, Fields, Response};

/// What an extraction model posts. `F` is a struct of your own, or [`Fields`] for whatever comes.
pub type Extraction<F = Fields> = Response<ExtractionResult<F>>;

impl<F> Extraction<F> {
    /// The fields, or why there are none.
    ///
    /// # Errors
    ///
    /// If the inference failed.
    pub fn fields(&self) -> Result<&F, &FailedInference> {
        self.result().map(|result| &result.fields)
    }
}

/// The result of an extraction. Only `fields` is always there (Mindee's `OpenAPI`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ExtractionResult<F> {
    /// The fields of the model's schema.
    pub fields: F,
    /// The text of the pages. Null or absent unless the option is on, and in one fixture even then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_text: Option<RawText>,
    /// The document that was retrieved to help. Null or absent unless the option is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rag: Option<Rag>,
}

/// The text of a file, page by page (fixture `v2/extraction/raw_texts.json`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RawText {
    /// The pages, in order.
    pub pages: Vec<RawPage>,
}

/// The text of a page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RawPage {
    /// The text, its lines separated by `\n`.
    pub content: String,
}

/// What retrieval found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Rag {
    /// The id of the document. Null where none matched.
    pub retrieved_document_id: Option<String>,
}
