use serde::Serialize;

use super::{ExtractionResult, Processed};
use crate::provider::{OtherMembers, members::read_members};

/// The extraction that Mindee chained to a part of a file: a whole response of its own, whose model and job are others
/// than those around it (Mindee's `OpenAPI`, `extraction_response`; fixtures `v2/crop/default_sample_extraction.json`
/// and `v2/split/default_sample_extraction.json`).
///
/// Chaining goes one level deep. Whether a failed one would stand here is not known; none was seen.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Chained<F> {
    /// The inference.
    pub inference: Processed<ExtractionResult<F>>,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

read_members! { Chained<F> {} strict { inference } }

impl<F> Chained<F> {
    /// The fields that were extracted.
    pub fn fields(&self) -> &F {
        &self.inference.result.fields
    }
}
