use std::{fmt, slice};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value as Json};

use super::{Confidence, Field, List, Locations, Object, Value};
use crate::provider::{
    OtherMembers, Text,
    json::{AnyJson, Given, Keep, any_json, open_struct, unknown},
};

/// A field of any kind. The member `value`, `fields` or `items` determines the variant. A field that is null is a
/// simple field without a value.
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
    /// It has none of these members, or several of them, which Mindee's client libraries interpret differently. Kept up
    /// to 64 levels deep.
    #[serde(serialize_with = "unknown::serialize_unless_hidden")]
    Other(Json),
}

impl AnyField {
    /// Returns the field, if it has a single value, null or not.
    pub fn simple(&self) -> Option<&Field<Value>> {
        match self {
            Self::Simple(field) => Some(field),
            _ => None,
        }
    }

    /// Returns the single value, if there is one and it is not null.
    pub fn value(&self) -> Option<&Value> {
        self.simple()?.value.as_ref()
    }

    /// Returns the object, if it is one.
    pub fn object(&self) -> Option<&Object<Fields>> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    /// Returns the list, if it is one.
    pub fn list(&self) -> Option<&List<AnyField>> {
        match self {
            Self::List(list) => Some(list),
            _ => None,
        }
    }

    /// The confidence of the model. Null or absent unless the option is on.
    pub fn confidence(&self) -> Option<&Confidence> {
        match self {
            Self::Simple(field) => field.confidence.as_ref(),
            Self::Object(object) => object.confidence.as_ref(),
            Self::List(list) => list.confidence.as_ref(),
            Self::Other(_) => None,
        }
    }
}

/// The members of all variants, so that one pass is enough for any order.
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

/// The known members of a field of an unknown kind.
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

/// The fields of a result or of an object, by name and in Mindee's order.
///
/// ```
/// use tower_inbox::provider::mindee::Fields;
///
/// let fields: Fields = serde_json::from_str(r#"{
///     "total": {"value": 12.5},
///     "supplier": {"fields": {"name": {"value": "Tea & Co"}}}
/// }"#)?;
///
/// let name = || fields.get("supplier")?.object()?.get("name")?.value()?.as_str();
/// assert_eq!(name(), Some("Tea & Co"));
/// assert_eq!(fields.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["total", "supplier"]);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct Fields(Vec<(Text, AnyField)>);

impl Fields {
    /// Returns the field of this name. Searches linearly: a result has few fields.
    pub fn get(&self, name: &str) -> Option<&AnyField> {
        self.iter().find_map(|(known, field)| (known == name).then_some(field))
    }

    /// Returns an iterator over names and fields, in Mindee's order.
    pub fn iter(&self) -> FieldsIter<'_> {
        FieldsIter(self.0.iter())
    }

    /// Returns the number of fields, without nested ones.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are no fields.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn is_repeating(&self) -> bool {
        let mut names: Vec<_> = self.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names.windows(2).any(|pair| matches!(pair, [a, b] if a == b))
    }
}

/// Does not contain the name, which is a part of the body.
fn repeated<E: de::Error>() -> E {
    E::duplicate_field("of an object of fields")
}

impl<'a> IntoIterator for &'a Fields {
    type Item = (&'a str, &'a AnyField);
    type IntoIter = FieldsIter<'a>;

    fn into_iter(self) -> FieldsIter<'a> {
        self.iter()
    }
}

/// An iterator over names and fields, in Mindee's order.
#[derive(Clone, Debug)]
pub struct FieldsIter<'a>(slice::Iter<'a, (Text, AnyField)>);

impl<'a> Iterator for FieldsIter<'a> {
    type Item = (&'a str, &'a AnyField);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(name, field)| (&**name, field))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for FieldsIter<'_> {}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        json.collect_map(self)
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_map(Members)
    }
}

struct Members;

impl<'de> de::Visitor<'de> for Members {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of fields")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut members: A) -> Result<Fields, A::Error> {
        let mut fields = Fields::default();
        while let Some(member) = members.next_entry()? {
            fields.0.push(member);
        }
        if fields.is_repeating() { Err(repeated()) } else { Ok(fields) }
    }
}

/// Keeps the fields of a schema that a struct does not have.
impl Keep for Fields {
    fn keep<'de, A: de::MapAccess<'de>>(
        &mut self,
        name: &str,
        members: &mut A,
    ) -> Result<(), A::Error> {
        if self.get(name).is_some() {
            return Err(repeated());
        }
        self.0.push((name.into(), members.next_value()?));
        Ok(())
    }
}
