use serde::{Deserialize, Serialize};

use super::{Extraction, Fields, Response};
use crate::provider::{OtherMembers, Text, members::open_struct};

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
