use std::fmt::{self, Write};

use super::Delivery;

/// Identifies the inference that a delivery carries: the provider's id, its version if it is posted more than once, and
/// the scope that the inbox adds.
///
/// The scope holds what the model's path captured. With the path `/hooks/{account}` the same id posted to two accounts
/// gives two keys.
///
/// `Display` writes one text per key, and no two keys share a text: use it as a primary key or an idempotency key. The
/// form is `ID@VERSION?NAME=VALUE&NAME=VALUE`; characters that separate the parts are percent-encoded where they occur
/// inside one.
///
/// ```
/// use tower_inbox::provider::InferenceKey;
///
/// assert_eq!(InferenceKey::new("inv_1").to_string(), "inv_1");
/// assert_eq!(InferenceKey::versioned("inv_1", "2026-11-28").to_string(), "inv_1@2026-11-28");
/// assert_eq!(InferenceKey::new("a@b").to_string(), "a%40b");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InferenceKey {
    id: String,
    version: Option<String>,
    scope: Vec<(String, String)>,
}

impl InferenceKey {
    /// Returns the key of an inference that is posted once.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), version: None, scope: Vec::new() }
    }

    /// Returns the key of one state of an inference that is posted again whenever it changes.
    pub fn versioned(id: impl Into<String>, version: impl Into<String>) -> Self {
        Self { version: Some(version.into()), ..Self::new(id) }
    }

    /// Returns the key of an inference without an id: the digest of the body.
    pub(crate) fn of_body(delivery: &Delivery) -> Self {
        Self::new(delivery.digest().to_string())
    }

    /// Returns the provider's id, without scope.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the version, which differs between the states of one id.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// Returns the captures of the model's path, in the order of the path. Empty for a path without captures.
    ///
    /// Handlers get keys with their scope in the request extensions. A key that comes straight from
    /// [`Payload::key`](crate::provider::Payload::key) has none.
    pub fn scope(&self) -> impl Iterator<Item = (&str, &str)> {
        self.scope.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns the key with these captures as its scope, in place of the one it had.
    pub(crate) fn within<'c>(self, captures: impl IntoIterator<Item = (&'c str, &'c str)>) -> Self {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self { scope: captures.into_iter().map(owned).collect(), ..self }
    }

    /// Returns the key that all versions of this id share.
    pub(super) fn without_version(&self) -> Self {
        Self { version: None, ..self.clone() }
    }
}

impl fmt::Display for InferenceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escape(f, &self.id, &['@', '?'])?;
        if let Some(version) = &self.version {
            f.write_char('@')?;
            escape(f, version, &['@', '?'])?;
        }
        for (place, (name, value)) in self.scope().enumerate() {
            f.write_char(if place == 0 { '?' } else { '&' })?;
            escape(f, name, &['=', '&'])?;
            f.write_char('=')?;
            escape(f, value, &['=', '&'])?;
        }
        Ok(())
    }
}

/// Writes `text` with `separators`, percent signs and control characters percent-encoded.
fn escape(f: &mut fmt::Formatter<'_>, text: &str, separators: &[char]) -> fmt::Result {
    for character in text.chars() {
        if character == '%' || character.is_control() || separators.contains(&character) {
            let mut utf8 = [0; 4];
            for byte in character.encode_utf8(&mut utf8).bytes() {
                write!(f, "%{byte:02X}")?;
            }
        } else {
            f.write_char(character)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn text_of_a_scoped_key_shows_id_version_and_captures() {
        let key =
            InferenceKey::versioned("inv_1", "2").within([("account", "A"), ("region", "eu")]);
        assert_eq!(key.to_string(), "inv_1@2?account=A&region=eu");
        assert_eq!(key.scope().collect::<Vec<_>>(), [("account", "A"), ("region", "eu")]);
        assert_eq!((key.id(), key.version()), ("inv_1", Some("2")));
    }

    #[test]
    fn different_keys_have_different_texts() {
        let parts =
            ["", "a", "b", "@", "?", "=", "&", "%", "a@b", "a?a=b", "%40", "b&a=b", "\n", "%0A"];
        let scopes = |value| {
            [vec![], vec![("a", value)], vec![(value, "a")], vec![("a", value), ("a", "b")]]
        };
        let (mut keys, mut texts) = (HashSet::new(), HashSet::new());
        for id in parts {
            let plain = InferenceKey::new(id);
            let versioned = parts.map(|version| InferenceKey::versioned(id, version));
            for key in versioned.into_iter().chain([plain]) {
                for scope in parts.into_iter().flat_map(scopes) {
                    let key = key.clone().within(scope);
                    texts.insert(key.to_string());
                    keys.insert(key);
                }
            }
        }
        assert_eq!(texts.len(), keys.len());
        assert!(texts.iter().all(|text| !text.contains(char::is_control)));
    }
}
