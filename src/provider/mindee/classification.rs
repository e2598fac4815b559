use serde::Serialize;

use super::{Extraction, Fields, Response};
use crate::provider::{OtherMembers, Text, members::open_struct};

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
