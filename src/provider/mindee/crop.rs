use serde::Serialize;

use super::{Extraction, Fields, Location, Response};
use crate::provider::{OtherMembers, Text, members::open_struct};

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
