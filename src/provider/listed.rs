use std::{fmt, ops::Deref, slice};

use serde::{Deserialize, Serialize};

/// A list that a provider may leave out. Derefs to what is in it.
///
/// Absent, null and empty mean the same, are equal, and take no allocation; an absent list stays absent when it is
/// written, if its member has `#[serde(default, skip_serializing_if = "Listed::is_absent")]`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Listed<T>(Option<Vec<T>>);

impl<T> Listed<T> {
    /// Whether the list was left out, and not only empty.
    pub fn is_absent(&self) -> bool {
        self.0.is_none()
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
    fn absent_and_empty_mean_the_same_and_are_written_as_they_came() {
        for (read, written) in
            [("{}", "{}"), (r#"{"items":null}"#, "{}"), (r#"{"items":[]}"#, r#"{"items":[]}"#)]
        {
            let record: Record = serde_json::from_str(read).unwrap();
            assert!(record.items.is_empty() && record.items == Listed::default());
            assert_eq!(serde_json::to_string(&record).unwrap(), written);
        }
    }
}
