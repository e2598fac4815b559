use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, MapAccess, Visitor},
};

use super::{Confidence, Locations};
use crate::provider::{
    OtherMembers,
    other_members::Keep,
    read::{Name, object_or_null, once, once_strict},
};

/// A field with a single value: text, number, boolean, date (as text), or one of the classes of a classification.
///
/// In JSON an object with `value`, which may be null but not absent; null stands for a field without a value.
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

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        object_or_null(json, Members(PhantomData))
    }
}

struct Members<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
    type Value = Field<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<Field<T>, E> {
        Ok(Field::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut json: A) -> Result<Field<T>, A::Error> {
        let (mut value, mut confidence, mut locations) = (None, None, None);
        let mut other = OtherMembers::default();
        while let Some(name) = json.next_key::<Name<'de>>()? {
            match &*name {
                "value" => once_strict(&mut value, "value", &mut json)?,
                "confidence" => once(&mut confidence, "confidence", &mut json)?,
                "locations" => once(&mut locations, "locations", &mut json)?,
                unknown => other.keep(unknown, &mut json)?,
            }
        }
        Ok(Field {
            value: value.ok_or_else(|| A::Error::missing_field("value"))?,
            confidence: confidence.flatten(),
            locations: locations.unwrap_or_default(),
            other,
        })
    }
}
