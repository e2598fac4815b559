use std::{fmt, ops::Deref};

use serde::{Deserialize, Serialize};

use super::Polygon;

/// Where in the file something was found (Mindee's `OpenAPI`, `FieldLocation`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Location {
    /// Its outline on the page.
    pub polygon: Polygon,
    /// The page, from 0.
    pub page: u32,
}

/// The places where a field was found. Derefs to them.
///
/// Absent, null and empty mean the same here, are equal, and take no allocation; an absent list stays absent when it
/// is written.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Locations(Option<Vec<Location>>);

impl Locations {
    pub(super) fn is_absent(&self) -> bool {
        self.0.is_none()
    }
}

impl Deref for Locations {
    type Target = [Location];

    fn deref(&self) -> &[Location] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl From<Vec<Location>> for Locations {
    fn from(locations: Vec<Location>) -> Self {
        Self(Some(locations))
    }
}

impl<'a> IntoIterator for &'a Locations {
    type Item = &'a Location;
    type IntoIter = std::slice::Iter<'a, Location>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl PartialEq for Locations {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl fmt::Debug for Locations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}
