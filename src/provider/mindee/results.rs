use serde::{Deserialize, Serialize};

use super::{FailedInference, Fields, Location, Polygon, Response};
use crate::provider::{Listed, OtherMembers, Text, json::open_struct};

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

/// What a classification model posts. `F` is what a chained extraction is loaded into.
pub type Classification<F = Fields> = Response<ClassificationResult<F>>;

/// The result of a classification (fixture `v2/classification/default_sample.json`).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ClassificationResult<F> {
    /// What the file is.
    pub classification: Classified<F>,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { ClassificationResult<F> {} strict { classification } }

/// What a file is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Classified<F> {
    /// One of the classes of the model, such as `invoice`. Null or absent where none fits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document_type: Option<Text>,
    /// The response of the extraction that is chained to the class. Null or absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extraction_response: Option<Box<Extraction<F>>>,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Classified<F> { document_type } strict { extraction_response } }

/// What a crop model posts. `F` is what chained extractions are loaded into.
pub type Crop<F = Fields> = Response<CropResult<F>>;

/// The result of a crop (fixtures `v2/crop`).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CropResult<F> {
    /// The things that were found, each in its place.
    pub crops: Vec<CropItem<F>>,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { CropResult<F> {} strict { crops } }

/// A thing in a file.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CropItem<F> {
    /// What it is, such as `receipt`. Null or absent where it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_type: Option<Text>,
    /// Where it is. Null or absent where it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// The response of the extraction that is chained to it. Null or absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extraction_response: Option<Box<Extraction<F>>>,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { CropItem<F> { object_type, location } strict { extraction_response } }

/// What a split model posts. `F` is what chained extractions are loaded into.
pub type Split<F = Fields> = Response<SplitResult<F>>;

/// The result of a split (fixtures `v2/split`).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SplitResult<F> {
    /// The documents that the file consists of.
    pub splits: Vec<SplitItem<F>>,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { SplitResult<F> {} strict { splits } }

/// A document in a file.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SplitItem<F> {
    /// The pages that it takes. Null or absent where they are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_range: Option<PageRange>,
    /// What it is, such as `invoice`. Null or absent where it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document_type: Option<Text>,
    /// The response of the extraction that is chained to it. Null or absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extraction_response: Option<Box<Extraction<F>>>,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { SplitItem<F> { page_range, document_type } strict { extraction_response } }

/// A range of pages, counted from 0, both ends included. In JSON an array of the two.
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

/// What an OCR model posts.
pub type Ocr = Response<OcrResult>;

/// The result of an OCR: about 200 words and 60 KB a page (fixture `v2/ocr/ocr_single.json`).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct OcrResult {
    /// The pages, in order. Empty where absent or null.
    #[serde(skip_serializing_if = "Listed::is_absent")]
    pub pages: Listed<OcrPage>,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { OcrResult { pages } }

/// The text of a page.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct OcrPage {
    /// The words, each in its place. Empty where absent or null.
    #[serde(skip_serializing_if = "Listed::is_absent")]
    pub words: Listed<OcrWord>,
    /// The text as a whole, its lines separated by `\n`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<Text>,
    /// Members that are not known.
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
    /// Its outline on its page. Empty where absent or null.
    pub polygon: Polygon,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { OcrWord { content, polygon } }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_begins_with_its_first_page() {
        let range: PageRange = serde_json::from_str("[1,3]").unwrap();
        assert_eq!((range.first, range.last), (1, 3));
        assert_eq!(serde_json::to_string(&range).unwrap(), "[1,3]");
    }
}
