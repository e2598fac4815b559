use serde::{Deserialize, Serialize};

use super::Polygon;
use crate::provider::Listed;

/// Where in the file something was found (Mindee's `OpenAPI`, `FieldLocation`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Location {
    /// Its outline on the page.
    pub polygon: Polygon,
    /// The page, from 0.
    pub page: u32,
}

/// The places where a field was found.
pub type Locations = Listed<Location>;
