use serde::{Deserialize, Serialize};

use super::{FailedInference, Fields, Location, Polygon, Response};
use crate::provider::{Listed, OtherMembers, Text, json::open_struct};

/// The response of an extraction model. `F` is your own struct, or [`Fields`] for any fields.
pub type Extraction<F = Fields> = Response<ExtractionResult<F>>;

impl<F> Extraction<F> {
    /// Returns the fields, or the failed inference.
    ///
    /// # Errors
    ///
    /// If the inference failed.
    pub fn fields(&self) -> Result<&F, &FailedInference> {
        self.result().map(|result| &*result.fields)
    }
}

/// The result of an extraction. Only `fields` is always present (Mindee's `OpenAPI`).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ExtractionResult<F> {
    /// The fields of the model's schema.
    pub fields: Box<F>,
    /// The text of the pages. Null or absent unless the option is active, and in one fixture even then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_text: Option<RawText>,
    /// The retrieved document. Null or absent unless the option is active.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rag: Option<Rag>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { ExtractionResult<F> { raw_text, rag } strict { fields } }

/// The text of a file, page by page (fixture `v2/extraction/raw_texts.json`).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RawText {
    /// The pages, in order. Empty if absent or null.
    #[serde(skip_serializing_if = "Listed::is_absent")]
    pub pages: Listed<RawPage>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { RawText { pages } }

/// The text of a page.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RawPage {
    /// The text, with lines separated by `\n`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<Text>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { RawPage { content } }

/// The result of retrieval.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Rag {
    /// The id of the document. Null or absent if none matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retrieved_document_id: Option<Text>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Rag { retrieved_document_id } }

/// The response of a classification model. `F` is the type of a chained extraction.
pub type Classification<F = Fields> = Response<ClassificationResult<F>>;

/// The result of a classification (fixture `v2/classification/default_sample.json`).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ClassificationResult<F> {
    /// The class of the file.
    pub classification: Classified<F>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { ClassificationResult<F> {} strict { classification } }

/// The class of a file.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Classified<F> {
    /// One of the classes of the model, such as `invoice`. Null or absent if none matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document_type: Option<Text>,
    /// The response of the chained extraction. Null or absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extraction_response: Option<Box<Extraction<F>>>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Classified<F> { document_type } strict { extraction_response } }

/// The response of a crop model. `F` is the type of chained extractions.
pub type Crop<F = Fields> = Response<CropResult<F>>;

/// The result of a crop (fixtures `v2/crop`).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CropResult<F> {
    /// The objects that were found, with their locations.
    pub crops: Vec<CropItem<F>>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { CropResult<F> {} strict { crops } }

/// An object in a file.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CropItem<F> {
    /// The class, such as `receipt`. Null or absent if unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_type: Option<Text>,
    /// The location. Null or absent if unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// The response of the chained extraction. Null or absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extraction_response: Option<Box<Extraction<F>>>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { CropItem<F> { object_type, location } strict { extraction_response } }

/// The response of a split model. `F` is the type of chained extractions.
pub type Split<F = Fields> = Response<SplitResult<F>>;

/// The result of a split (fixtures `v2/split`).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SplitResult<F> {
    /// The documents in the file.
    pub splits: Vec<SplitItem<F>>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { SplitResult<F> {} strict { splits } }

/// A document in a file.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SplitItem<F> {
    /// The pages of the document. Null or absent if unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_range: Option<PageRange>,
    /// The class, such as `invoice`. Null or absent if unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document_type: Option<Text>,
    /// The response of the chained extraction. Null or absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extraction_response: Option<Box<Extraction<F>>>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { SplitItem<F> { page_range, document_type } strict { extraction_response } }

/// An inclusive range of pages, from 0. In JSON, an array of two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "[u32; 2]", into = "[u32; 2]")]
pub struct PageRange {
    /// The first page.
    pub first: u32,
    /// The last page.
    pub last: u32,
}

impl From<[u32; 2]> for PageRange {
    fn from([first, last]: [u32; 2]) -> Self {
        Self { first, last }
    }
}

impl From<PageRange> for [u32; 2] {
    fn from(range: PageRange) -> Self {
        [range.first, range.last]
    }
}

/// The response of an OCR model.
pub type Ocr = Response<OcrResult>;

/// The result of an OCR: about 200 words and 60 KB a page (fixture `v2/ocr/ocr_single.json`).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct OcrResult {
    /// The pages, in order. Empty if absent or null.
    #[serde(skip_serializing_if = "Listed::is_absent")]
    pub pages: Listed<OcrPage>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { OcrResult { pages } }

/// The text of a page.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct OcrPage {
    /// The words, with their locations. Empty if absent or null.
    #[serde(skip_serializing_if = "Listed::is_absent")]
    pub words: Listed<OcrWord>,
    /// The text of the page, with lines separated by `\n`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<Text>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { OcrPage { words, content } }

/// A word on a page.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct OcrWord {
    /// The word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<Text>,
    /// The outline on the page. Empty if absent or null.
    pub polygon: Polygon,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { OcrWord { content, polygon } }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_range_starts_with_its_first_page() {
        let range: PageRange = serde_json::from_str("[1,3]").unwrap();
        assert_eq!((range.first, range.last), (1, 3));
        assert_eq!(serde_json::to_string(&range).unwrap(), "[1,3]");
    }
}
