use std::{fmt, ops::Index};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{
        DeserializeOwned, MapAccess, Visitor,
        value::{BorrowedStrDeserializer, MapDeserializer},
    },
};
use serde_json::{Map, Value};

use super::{Name, Shallow, tolerant, unknown};
use crate::provider::Text;

/// The maximum depth of unknown members. `serde_json` accepts 128 levels in the whole document.
const LEVELS: u8 = 64;

/// The unknown members of a JSON object. They are kept and serialized. Arrays and objects that are nested more than 64
/// levels deep are replaced by null.
///
/// ```
/// use tower_inbox::provider::mindee::File;
///
/// let file: File = serde_json::from_str(r#"{"name": "a.pdf", "pages_read": 3}"#)?;
/// assert_eq!(file.other.get("pages_read"), Some(&3.into()));
/// assert_eq!(serde_json::to_string(&file)?, r#"{"name":"a.pdf","pages_read":3}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Default, PartialEq)]
#[expect(
    clippy::box_collection,
    reason = "nearly always empty, and in every field: a pointer is all it may cost"
)]
pub struct OtherMembers(Option<Box<Vec<(Text, Value)>>>);

impl OtherMembers {
    /// Returns the member of this name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.iter().find_map(|(known, value)| (known == name).then_some(value))
    }

    /// Returns an iterator over names and values, in the order of the body.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.pairs().map(|(name, value)| (&**name, value))
    }

    fn pairs(&self) -> impl Iterator<Item = (&Text, &Value)> {
        self.0.iter().flat_map(|members| &**members).map(|(name, value)| (name, value))
    }

    /// Decodes the members to another type.
    pub(in crate::provider) fn read_as<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        if tolerant::is_active() {
            return T::deserialize(&tolerant::Node::of_members(self.pairs()));
        }
        let members = self.iter().map(|(name, value)| (BorrowedStrDeserializer::new(name), value));
        T::deserialize(MapDeserializer::new(members))
    }

    /// Removes the members of this name, and returns the last one.
    pub(in crate::provider) fn take(&mut self, name: &str) -> Option<Value> {
        let members = self.0.as_deref_mut()?;
        members.extract_if(.., |(known, _)| known == name).last().map(|(_, value)| value)
    }

    /// Returns whether there are no unknown members.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

impl fmt::Debug for OtherMembers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for OtherMembers {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        json.collect_map(self.iter().filter(|_| !unknown::is_hidden()))
    }
}

/// Decodes all members, or the remaining ones for types with `#[serde(flatten)]`.
impl<'de> Deserialize<'de> for OtherMembers {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_map(All)
    }
}

struct All;

impl<'de> Visitor<'de> for All {
    type Value = OtherMembers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<OtherMembers, A::Error> {
        let mut all = OtherMembers::default();
        while let Some(name) = members.next_key::<Name<'de>>()? {
            all.keep(&name, &mut members)?;
        }
        Ok(all)
    }
}

/// The last of several members of one name counts.
impl From<OtherMembers> for Map<String, Value> {
    fn from(members: OtherMembers) -> Self {
        let members = members.0.map(|members| *members).unwrap_or_default();
        members.into_iter().map(|(name, value)| (name.into(), value)).collect()
    }
}

/// Null if there is no such member, as in a [`Value`].
impl Index<&str> for OtherMembers {
    type Output = Value;

    fn index(&self, name: &str) -> &Value {
        self.get(name).unwrap_or(&Value::Null)
    }
}

/// A collection of unknown members.
pub(in crate::provider) trait Keep: Default {
    /// Decodes and keeps the value of the member `name`.
    fn keep<'de, A: MapAccess<'de>>(&mut self, name: &str, members: &mut A)
    -> Result<(), A::Error>;
}

/// The last of several members of one name counts.
impl Keep for Map<String, Value> {
    fn keep<'de, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        members: &mut A,
    ) -> Result<(), A::Error> {
        self.insert(name.to_owned(), members.next_value()?);
        Ok(())
    }
}

impl Keep for OtherMembers {
    #[cold]
    fn keep<'de, A: MapAccess<'de>>(
        &mut self,
        name: &str,
        members: &mut A,
    ) -> Result<(), A::Error> {
        let value = members.next_value_seed(Shallow { levels: LEVELS })?;
        self.0.get_or_insert_default().push((name.into(), value));
        Ok(())
    }
}
