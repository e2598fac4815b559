use serde::Serialize;

use super::Polygon;
use crate::provider::{Listed, OtherMembers, members::open_struct};

/// Where in the file something was found (Mindee's `OpenAPI`, `FieldLocation`).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Location {
    /// Its outline on the page. Empty where absent or null.
    pub polygon: Polygon,
    /// The page, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { Location { polygon, page } }

/// The places where a field was found.
pub type Locations = Listed<Location>;
