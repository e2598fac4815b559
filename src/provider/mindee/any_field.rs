use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value as Json};

use super::{Confidence, Field, Fields, List, Locations, Object, Value};
use crate::provider::{
    OtherMembers, known,
    members::open_struct,
    read::{AnyJson, Given, any_json},
};

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
pub(crate) struct Wire {
    value: Given<Value>,
    fields: Option<Fields>,
    items: Option<Vec<AnyField>>,
    confidence: Option<Confidence>,
    locations: Locations,
    other: OtherMembers,
}

open_struct! { Wire { confidence, locations } strict { value, fields, items } }

impl AnyJson for AnyField {
    type Members = Wire;

    fn of_object(members: Wire) -> Self {
        let Wire { value, fields, items, confidence, locations, other } = members;
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

    fn of_other(other: Json) -> Self {
        match other {
            Json::Null => Self::Simple(Field::default()),
            other => Self::Other(other),
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
        any_json(json)
    }
}
