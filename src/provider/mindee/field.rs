use std::{fmt, marker::PhantomData, ops::Deref, slice, vec};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{
        self, Error, MapAccess, Visitor,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
};
use serde_json::Number;

use super::Locations;
use crate::provider::{
    OtherMembers, Text,
    json::{Keep, Name, empty, object_or_null, once, once_strict, open_enum, open_struct},
};

/// A field with a single value: a string, a number, a boolean, a date (as a string), or one of the classes of a
/// classification.
///
/// In JSON, an object with `value`, which can be null, but not absent. Null is a field without a value.
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
    /// The value. Null if the file does not contain it.
    pub value: Option<T>,
    /// The confidence of the model. Null or absent unless the option is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Confidence>,
    /// The locations in the file. Null, absent or empty unless the option is on.
    #[serde(skip_serializing_if = "Locations::is_absent")]
    pub locations: Locations,
    /// Unknown members.
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

/// A field that contains fields. Derefs to them: `F` is your own struct, or [`Fields`](super::Fields).
///
/// In JSON, an object with `fields`, or null for an object without fields.
///
/// ```
/// use serde::Deserialize;
/// use tower_inbox::provider::mindee::{Field, Object};
///
/// #[derive(Deserialize)]
/// struct Address {
///     city: Field<String>,
/// }
///
/// let address: Object<Address> = serde_json::from_str(r#"{"fields": {"city": {"value": "Paris"}}}"#)?;
/// assert_eq!(address.city.value.as_deref(), Some("Paris"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Object<F> {
    /// The fields.
    pub fields: F,
    /// The confidence of the model in the object as a whole. Null or absent unless the option is on, and usually even
    /// then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Confidence>,
    /// The locations in the file. Null, absent or empty unless the option is on.
    #[serde(skip_serializing_if = "Locations::is_absent")]
    pub locations: Locations,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { or_empty Object<F> { confidence, locations } strict { fields } }

impl<F> Object<F> {
    /// Returns an object without fields, for null, if `F` can be decoded from an empty object.
    fn empty<'de, E: Error>() -> Result<Self, E>
    where
        F: Deserialize<'de>,
    {
        empty().map(|fields: F| Self::from(fields))
    }
}

impl<F> Deref for Object<F> {
    type Target = F;

    fn deref(&self) -> &F {
        &self.fields
    }
}

impl<F> From<F> for Object<F> {
    fn from(fields: F) -> Self {
        Self {
            fields,
            confidence: None,
            locations: Locations::default(),
            other: OtherMembers::default(),
        }
    }
}

/// A list of [`Field`](super::Field)s or [`Object`](super::Object)s. Derefs to its items.
///
/// In JSON, an object with `items`, or null for an empty list.
///
/// ```
/// use tower_inbox::provider::mindee::{Field, List};
///
/// let tags: List<Field<String>> = serde_json::from_str(r#"{"items": [{"value": "a"}, {"value": null}]}"#)?;
/// assert_eq!(tags.len(), 2);
/// assert_eq!(tags.iter().filter_map(|tag| tag.value.as_deref()).collect::<Vec<_>>(), ["a"]);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct List<T> {
    /// The items, in Mindee's order.
    pub items: Vec<T>,
    /// The confidence of the model in the list as a whole. Null or absent unless the option is on, and usually even
    /// then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Confidence>,
    /// The locations in the file. None are documented: the items have them.
    #[serde(skip_serializing_if = "Locations::is_absent")]
    pub locations: Locations,
    /// Unknown members.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { or_empty List<T> { confidence, locations } strict { items } }

impl<T> List<T> {
    /// Returns an empty list, for null.
    fn empty<'de, E: Error>() -> Result<Self, E>
    where
        T: Deserialize<'de>,
    {
        empty().map(|items: Vec<T>| Self::from_iter(items))
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self::from_iter([])
    }
}

impl<T> Deref for List<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.items
    }
}

impl<T> FromIterator<T> for List<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self {
            items: items.into_iter().collect(),
            confidence: None,
            locations: Locations::default(),
            other: OtherMembers::default(),
        }
    }
}

impl<T> IntoIterator for List<T> {
    type Item = T;
    type IntoIter = vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a List<T> {
    type Item = &'a T;
    type IntoIter = slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.iter()
    }
}

open_enum! {
    /// The confidence of the model in a field (page "Automation and confidence score").
    ///
    /// Null or absent unless the option is on. Unknown values are kept.
    pub enum Confidence {
        /// Almost always correct.
        Certain = "Certain",
        /// Usually correct.
        High = "High",
        /// Should be checked.
        Medium = "Medium",
        /// Probably wrong. Not in Mindee's `OpenAPI` description, but in its documentation and fixtures.
        Low = "Low",
    }
}

/// The value of a field of unknown type. Null is not a value: a field without a value contains `None`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Value {
    /// A string, which is also the format of dates (`2022-08-23`), times and the classes of a classification.
    String(Text),
    /// A boolean.
    Bool(bool),
    /// A number. Preserves the difference between `2145` and `2145.0`.
    Number(Number),
    /// An array or an object. Undocumented.
    Other(Box<serde_json::Value>),
}

impl Value {
    /// Returns the string, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the boolean, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// Returns the number as the nearest `f64`, if it is a number.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Number(number) => number.as_f64(),
            _ => None,
        }
    }

    /// Returns the number as an `i64`, if it is a number without a decimal point that fits.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Number(number) => number.as_i64(),
            _ => None,
        }
    }
}

impl From<serde_json::Value> for Value {
    fn from(json: serde_json::Value) -> Self {
        match json {
            serde_json::Value::String(text) => Self::String(text.into()),
            serde_json::Value::Bool(value) => Self::Bool(value),
            serde_json::Value::Number(number) => Self::Number(number),
            other => Self::Other(Box::new(other)),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(Anything)
    }
}

struct Anything;

impl<'de> de::Visitor<'de> for Anything {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.into()))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Value, E> {
        Number::from_f64(number)
            .map(Value::Number)
            .ok_or_else(|| E::custom("expected a finite number"))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, array: A) -> Result<Value, A::Error> {
        serde_json::Value::deserialize(SeqAccessDeserializer::new(array)).map(Value::from)
    }

    /// With the feature `arbitrary_precision` of `serde_json`, numbers are maps.
    fn visit_map<A: de::MapAccess<'de>>(self, object: A) -> Result<Value, A::Error> {
        serde_json::Value::deserialize(MapAccessDeserializer::new(object)).map(Value::from)
    }
}
