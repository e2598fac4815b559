use serde::Serialize;

use super::{Polygon, Response};
use crate::provider::{Listed, OtherMembers, Text, members::open_struct};

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
