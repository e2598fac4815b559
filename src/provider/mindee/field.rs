use serde::{Deserialize, Deserializer, Serialize, de::Error};

use super::{Confidence, Locations};
use crate::provider::{OtherMembers, members::read_members, read::Given};

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
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

impl<T> Default for Field<T> {
    fn default() -> Self {
        Self {
            value: None,
            confidence: None,
            locations: Locations::default(),
            other: OtherMembers::default(),
        }
    }
}

impl<T> From<T> for Field<T> {
    fn from(value: T) -> Self {
        Self { value: Some(value), ..Self::default() }
    }
}

struct Wire<T> {
    value: Given<T>,
    confidence: Option<Confidence>,
    locations: Locations,
    other: OtherMembers,
}

read_members! { Wire<T> { value, confidence, locations } }

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        let Wire { value, confidence, locations, other } = Wire::deserialize(json)?;
        let value = match value {
            Given::Value(value) => Some(value),
            Given::Null => None,
            Given::Nothing => return Err(D::Error::missing_field("value")),
        };
        Ok(Self { value, confidence, locations, other })
    }
}
