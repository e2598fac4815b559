use serde::Serialize;

use super::{Polygon, Response};
use crate::provider::{OtherMembers, Text, members::read_members};

/// What an OCR model posts.
pub type Ocr = Response<OcrResult>;

/// The result of an OCR: about 200 words and 60 KB a page (fixture `v2/ocr/ocr_single.json`).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct OcrResult {
    /// The pages, in order.
    pub pages: Vec<OcrPage>,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

read_members! { OcrResult { pages } }

/// The text of a page.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct OcrPage {
    /// The words, each in its place.
    pub words: Vec<OcrWord>,
    /// The text as a whole, its lines separated by `\n`.
    pub content: Text,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

read_members! { OcrPage { words, content } }

/// A word on a page.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct OcrWord {
    /// The word.
    pub content: Text,
    /// Its outline on its page.
    pub polygon: Polygon,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

read_members! { OcrWord { content, polygon } }
