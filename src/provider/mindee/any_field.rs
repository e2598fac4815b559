use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, Unexpected},
};

use super::{Confidence, Field, Fields, List, Locations, Object, Value};
use crate::provider::{OtherMembers, members::read_members, read::Given};

/// A field of any kind, told by the member that it has: `value`, `fields` or `items`, in whatever order.
///
/// One that has several of them, not null, is an error: Mindee's client libraries do not agree on which counts.
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
    fn into_field<E: Error>(self) -> Result<AnyField, E> {
        let Self { value, fields, items, confidence, locations, other } = self;
        match (value, fields, items) {
            (Given::Value(value), None, None) => {
                Ok(AnyField::Simple(Field { value: Some(value), confidence, locations, other }))
            }
            (Given::Null, None, None) => {
                Ok(AnyField::Simple(Field { value: None, confidence, locations, other }))
            }
            (Given::Nothing | Given::Null, Some(fields), None) => {
                Ok(AnyField::Object(Object { fields, confidence, locations, other }))
            }
            (Given::Nothing | Given::Null, None, Some(items)) => {
                Ok(AnyField::List(List { items, confidence, locations, other }))
            }
            (Given::Nothing, None, None) => {
                Err(E::invalid_value(Unexpected::Map, &"a field with `value`, `fields` or `items`"))
            }
            _ => Err(E::invalid_value(
                Unexpected::Map,
                &"a field with only one of `value`, `fields` and `items`",
            )),
        }
    }
}

impl<'de> Deserialize<'de> for AnyField {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        Wire::deserialize(json)?.into_field()
    }
}
