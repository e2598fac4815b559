use std::{fmt, slice};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::AnyField;
use crate::provider::{Text, other_members::Keep};

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
    /// The field of this name. Looks at one field after the other: a result has few.
    pub fn get(&self, name: &str) -> Option<&AnyField> {
        self.iter().find_map(|(known, field)| (known == name).then_some(field))
    }

    /// Names and fields, in Mindee's order.
    pub fn iter(&self) -> FieldsIter<'_> {
        FieldsIter(self.0.iter())
    }

    /// How many fields there are, not counting those inside of others.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn is_repeating(&self) -> bool {
        let mut names: Vec<_> = self.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names.array_windows().any(|[a, b]| a == b)
    }
}

/// Without the name, which is a part of the body.
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

/// Iterates over names and fields, in Mindee's order.
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

/// The fields of a schema that a struct does not name.
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
