use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::{Map, Value as Json};

use super::{Confidence, Field, Fields, List, Locations, Object, Value};
use crate::provider::{
    OtherMembers, known,
    members::read_members,
    read::{Given, Shallow},
};

/// How many levels of a field of another kind are kept.
const LEVELS: u8 = 64;

/// A field of any kind, told by the member that it has: `value`, `fields` or `items`, in whatever order. A field that is
/// null is one without a value.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum AnyField {
    /// It has `value`, null or not.
    Simple(Field<Value>),
    /// It has `fields`.
    Object(Object<Fields>),
    /// It has `items`.
    List(List<AnyField>),
    /// It is none of these, or several of them, of which Mindee's client libraries do not agree which counts. Kept as it
    /// came, up to 64 levels deep.
    #[serde(serialize_with = "known::unless_only")]
    Other(Json),
}

impl AnyField {
    /// The field, if it has a single value, null or not.
    pub fn simple(&self) -> Option<&Field<Value>> {
        match self {
            Self::Simple(field) => Some(field),
            _ => None,
        }
    }

    /// The single value, if there is one and it is not null.
    pub fn value(&self) -> Option<&Value> {
        self.simple()?.value.as_ref()
    }

    /// The object, if it is one.
    pub fn object(&self) -> Option<&Object<Fields>> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The list, if it is one.
    pub fn list(&self) -> Option<&List<AnyField>> {
        match self {
            Self::List(list) => Some(list),
            _ => None,
        }
    }

    /// How sure the model is. Null or absent unless the option is on.
    pub fn confidence(&self) -> Option<&Confidence> {
        match self {
            Self::Simple(field) => field.confidence.as_ref(),
            Self::Object(object) => object.confidence.as_ref(),
            Self::List(list) => list.confidence.as_ref(),
            Self::Other(_) => None,
        }
    }
}

/// All members of all kinds, so that one pass is enough whatever their order.
struct Wire {
    value: Given<Value>,
    fields: Option<Fields>,
    items: Option<Vec<AnyField>>,
    confidence: Option<Confidence>,
    locations: Locations,
    other: OtherMembers,
}

read_members! { Wire { confidence, locations } strict { value, fields, items } }

impl Wire {
    fn into_field(self) -> AnyField {
        let Self { value, fields, items, confidence, locations, other } = self;
        match (value, fields, items) {
            (Given::Value(value), None, None) => {
                AnyField::Simple(Field { value: Some(value), confidence, locations, other })
            }
            (Given::Null, None, None) => {
                AnyField::Simple(Field { value: None, confidence, locations, other })
            }
            (Given::Nothing | Given::Null, Some(fields), None) => {
                AnyField::Object(Object { fields, confidence, locations, other })
            }
            (Given::Nothing | Given::Null, None, Some(items)) => {
                AnyField::List(List { items, confidence, locations, other })
            }
            (value, fields, items) => {
                let value = match value {
                    Given::Value(value) => Some(value),
                    Given::Null | Given::Nothing => None,
                };
                AnyField::Other(of_another_kind(
                    Known { value, fields, items, confidence, locations },
                    other,
                ))
            }
        }
    }
}

/// The members of a field of another kind that have a meaning in one of a known kind.
#[derive(Serialize)]
struct Known {
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<Fields>,
    #[serde(skip_serializing_if = "Option::is_none")]
    items: Option<Vec<AnyField>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confidence: Option<Confidence>,
    #[serde(skip_serializing_if = "Locations::is_absent")]
    locations: Locations,
}

fn of_another_kind(known: Known, other: OtherMembers) -> Json {
    let mut members = Map::from(other);
    if let Ok(Json::Object(known)) = serde_json::to_value(known) {
        members.extend(known);
    }
    Json::Object(members)
}

impl<'de> Deserialize<'de> for AnyField {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(Kinds)
    }
}

struct Kinds;

impl<'de> Visitor<'de> for Kinds {
    type Value = AnyField;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<AnyField, A::Error> {
        Wire::deserialize(MapAccessDeserializer::new(members)).map(Wire::into_field)
    }

    fn visit_unit<E>(self) -> Result<AnyField, E> {
        Ok(AnyField::Simple(Field::default()))
    }

    fn visit_bool<E>(self, value: bool) -> Result<AnyField, E> {
        Ok(AnyField::Other(value.into()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<AnyField, E> {
        Ok(AnyField::Other(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<AnyField, E> {
        Ok(AnyField::Other(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<AnyField, E> {
        Ok(AnyField::Other(number.into()))
    }

    fn visit_str<E>(self, text: &str) -> Result<AnyField, E> {
        Ok(AnyField::Other(text.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<AnyField, A::Error> {
        Shallow { levels: LEVELS }.visit_seq(list).map(AnyField::Other)
    }
}
