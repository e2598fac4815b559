use std::{ops::Deref, slice, vec};

use serde::{Deserialize, Serialize, de::Error};

use super::{Confidence, Locations};
use crate::provider::{OtherMembers, members::open_struct, read::empty};

/// A field that holds several of a kind: [`Field`](super::Field)s or [`Object`](super::Object)s. Derefs to its items.
///
/// In JSON an object with `items`, or null for an empty list.
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
    /// How sure the model is of the list as a whole. Null or absent unless the option is on, and mostly even then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Confidence>,
    /// Where it stands. None are documented: its items have them.
    #[serde(skip_serializing_if = "Locations::is_absent")]
    pub locations: Locations,
    /// Members that are not known.
    #[serde(flatten)]
    pub other: OtherMembers,
}

open_struct! { or_empty List<T> { confidence, locations } strict { items } }

impl<T> List<T> {
    /// What null is read as: an empty list.
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
