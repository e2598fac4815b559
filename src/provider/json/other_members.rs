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

/// How many levels of lists and objects are kept. `serde_json` reads 128 of them, with those around.
const LEVELS: u8 = 64;

/// The members of a JSON object that its type does not know: kept, and written again. Lists and objects that are nested
/// in one more than 64 levels deep are left out, and null stands for them.
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
    /// The member of this name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.iter().find_map(|(known, value)| (known == name).then_some(value))
    }

    /// Names and values, as they came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.pairs().map(|(name, value)| (&**name, value))
    }

    fn pairs(&self) -> impl Iterator<Item = (&Text, &Value)> {
        self.0.iter().flat_map(|members| &**members).map(|(name, value)| (name, value))
    }

    /// The members as an object of a type that knows them.
    pub(in crate::provider) fn read_as<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        if tolerant::is_active() {
            return T::deserialize(&tolerant::Node::of_members(self.pairs()));
        }
        let members = self.iter().map(|(name, value)| (BorrowedStrDeserializer::new(name), value));
        T::deserialize(MapDeserializer::new(members))
    }

    /// Takes out the member of this name; of several the last one.
    pub(in crate::provider) fn take(&mut self, name: &str) -> Option<Value> {
        let members = self.0.as_deref_mut()?;
        members.extract_if(.., |(known, _)| known == name).last().map(|(_, value)| value)
    }

    /// Whether there is none.
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

/// Takes all members, or what is left over, for types that are told `#[serde(flatten)]`.
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

/// Of several members of one name the last one.
impl From<OtherMembers> for Map<String, Value> {
    fn from(members: OtherMembers) -> Self {
        let members = members.0.map(|members| *members).unwrap_or_default();
        members.into_iter().map(|(name, value)| (name.into(), value)).collect()
    }
}

/// `null` where there is no such member, as in a [`Value`].
impl Index<&str> for OtherMembers {
    type Output = Value;

    fn index(&self, name: &str) -> &Value {
        self.get(name).unwrap_or(&Value::Null)
    }
}

/// Where the members go that a type does not know.
pub(in crate::provider) trait Keep: Default {
    /// Reads the member behind `name`.
    fn keep<'de, A: MapAccess<'de>>(&mut self, name: &str, members: &mut A)
    -> Result<(), A::Error>;
}

/// Of several members of one name the last one.
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
