use serde::{Deserialize, Deserializer, Serialize};

use super::{Confidence, Locations};
use crate::provider::read;

/// A field with a single value: text, number, boolean, date (as text), or one of the classes of a classification.
///
/// In JSON an object with `value`, which may be null but not absent.
///
/// ```
/// use tower_inbox::provider::mindee::Field;
///
/// let total: Field<f64> = serde_json::from_str(r#"{"value": 12, "confidence": "High"}"#)?;
/// assert_eq!(total.value, Some(12.0));
/// assert!(total.locations.is_empty());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Field<T> {
    /// The value. Null where the file does not show it.
    pub value: Option<T>,
    /// How sure the model is. Null or absent unless the option is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Confidence>,
    /// Where it stands. Null, absent or empty unless the option is on.
    #[serde(skip_serializing_if = "Locations::is_absent")]
    pub locations: Locations,
}

impl<T> Default for Field<T> {
    fn default() -> Self {
        Self { value: None, confidence: None, locations: Locations::default() }
    }
}

impl<T> From<T> for Field<T> {
    fn from(value: T) -> Self {
        Self { value: Some(value), ..Self::default() }
    }
}

#[derive(Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
struct Wire<T> {
    // Without a function of its own, an absent value would be read as null.
    #[serde(deserialize_with = "Option::deserialize")]
    value: Option<T>,
    confidence: Option<Confidence>,
    #[serde(default)]
    locations: Locations,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        let Wire { value, confidence, locations } = read::object(json)?;
        Ok(Self { value, confidence, locations })
    }
}
