use std::{fmt, marker::PhantomData, ops::Deref, slice};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{SeqAccess, Visitor},
};

use super::tolerant;

/// A list that can be absent. Derefs to a slice.
///
/// Absent, null and empty lists are equal, and do not allocate. An absent list is not serialized, if its member has
/// `#[serde(default, skip_serializing_if = "Listed::is_absent")]`.
///
/// In the provider's own types, an invalid element does not fail the list: the tolerant reading skips it and reports it
/// in [`Inference::tolerated`](crate::Inference::tolerated).
#[derive(Clone, Serialize)]
#[serde(transparent)]
pub struct Listed<T>(Option<Vec<T>>);

impl<T> Listed<T> {
    /// Returns whether the list was absent or null.
    pub fn is_absent(&self) -> bool {
        self.0.is_none()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Listed<T> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        if tolerant::is_lenient() {
            let list = Option::<Elements<T>>::deserialize(json)?;
            Ok(Self(list.map(|Elements(list)| list)))
        } else {
            Option::deserialize(json).map(Self)
        }
    }
}

/// A list that skips invalid elements.
struct Elements<T>(Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Elements<T> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_seq(ElementsVisitor(PhantomData))
    }
}

struct ElementsVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ElementsVisitor<T> {
    type Value = Elements<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Elements<T>, A::Error> {
        tolerant::elements(&mut list).map(Elements)
    }
}

impl<T> Deref for Listed<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> From<Vec<T>> for Listed<T> {
    fn from(items: Vec<T>) -> Self {
        Self(Some(items))
    }
}

impl<'a, T> IntoIterator for &'a Listed<T> {
    type Item = &'a T;
    type IntoIter = slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T: PartialEq> PartialEq for Listed<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Eq> Eq for Listed<T> {}

impl<T: fmt::Debug> fmt::Debug for Listed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Record {
        #[serde(default, skip_serializing_if = "Listed::is_absent")]
        items: Listed<u8>,
    }

    #[test]
    fn absent_and_empty_lists_are_equal_and_round_trip() {
        for (read, written) in
            [("{}", "{}"), (r#"{"items":null}"#, "{}"), (r#"{"items":[]}"#, r#"{"items":[]}"#)]
        {
            let record: Record = serde_json::from_str(read).unwrap();
            assert!(record.items.is_empty() && record.items == Listed::default());
            assert_eq!(serde_json::to_string(&record).unwrap(), written);
        }
    }
}
