use std::{
    fmt::{self, Write},
    str::FromStr,
};

use super::{Delivery, Digest, ModelName};

/// Identifies the inference that a delivery carries: the provider's id, its version if it is posted more than once, and
/// the scope that the inbox adds.
///
/// The scope has the captures of the model's path. With the path `/hooks/{account}` the same id posted to two accounts
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
    /// Handlers get keys with their scope in the request extensions. A key that is returned by
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

/// Identifies the inference of a delivery: digests of its id, its version, and the body.
///
/// 24 bytes, because an archive keeps one for every processed delivery. The id keeps 96 bits of its digest, so no two
/// ids collide by chance. The version and the bytes are compared only where the id is equal.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct InferenceDigest {
    id: InferenceId,
    version: [u8; VERSION],
    bytes: [u8; BYTES],
}

/// The digest of a model and the provider's id of an inference, without its version. Deliveries with the same id are
/// processed one at a time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InferenceId([u8; ID]);

const ID: usize = 12;
const VERSION: usize = 4;
const BYTES: usize = 8;

impl InferenceId {
    /// The inference of `model` whose [`InferenceKey`] prints as `key` without a version.
    ///
    /// ```
    /// use tower_inbox::{Digest, delivery::{InferenceDigest, InferenceId}, provider::InferenceKey};
    ///
    /// let model = "/hooks/invoices".parse()?;
    /// let digest = InferenceDigest::of(&model, &InferenceKey::versioned("a", "1"), Digest::of(b"{}"));
    /// assert_eq!(digest.id(), InferenceId::of(&model, "a"));
    /// # Ok::<(), tower_inbox::delivery::ModelNameError>(())
    /// ```
    pub fn of(model: &ModelName, key: &str) -> Self {
        Self(first(&Digest::of_fields([model.as_str().as_bytes(), key.as_bytes()])))
    }

    /// The bytes of the digest.
    pub fn as_bytes(&self) -> &[u8; ID] {
        &self.0
    }
}

impl InferenceDigest {
    /// The inference `key` of `model`, with its scope and version, received in a body with the digest `body`.
    pub fn of(model: &ModelName, key: &InferenceKey, body: Digest) -> Self {
        let id = InferenceId::of(model, &key.without_version().to_string());
        let version = key.version().map(|version| first(&Digest::of(version.as_bytes())));
        Self { id, version: version.unwrap_or([0; VERSION]), bytes: first(&body) }
    }

    /// The length of [`to_bytes`](Self::to_bytes).
    #[cfg(any(feature = "disk", feature = "postgres"))]
    pub(crate) const LENGTH: usize = ID + VERSION + BYTES;

    /// The bytes of the digest, for archives that store it.
    #[cfg(any(feature = "disk", feature = "postgres"))]
    pub(crate) fn to_bytes(self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        let parts = self.id.0.iter().chain(&self.version).chain(&self.bytes);
        bytes.iter_mut().zip(parts).for_each(|(to, from)| *to = *from);
        bytes
    }

    /// The digest with these bytes.
    #[cfg(feature = "disk")]
    pub(crate) fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        let mut digest =
            Self { id: InferenceId([0; ID]), version: [0; VERSION], bytes: [0; BYTES] };
        let Self { id, version, bytes: of_body } = &mut digest;
        let parts = id.0.iter_mut().chain(version).chain(of_body);
        parts.zip(bytes).for_each(|(to, from)| *to = from);
        digest
    }

    /// The model and id, without version and bytes.
    pub fn id(&self) -> InferenceId {
        self.id
    }

    /// Returns true if `other` has the same model, id and version, in any bytes.
    pub fn is_same_version(&self, other: &Self) -> bool {
        self.id == other.id && self.version == other.version
    }
}

/// Returns the first `N` bytes of a digest, for `N` up to 32.
fn first<const N: usize>(digest: &Digest) -> [u8; N] {
    digest.as_bytes().first_chunk().copied().unwrap_or([0; N])
}

impl fmt::Debug for InferenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// 24 hexadecimal digits.
impl fmt::Display for InferenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for InferenceId {
    type Err = ParseInferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; ID];
        hex::decode_to_slice(text, &mut bytes).map_err(ParseInferenceError)?;
        Ok(Self(bytes))
    }
}

/// 48 hexadecimal digits.
impl fmt::Display for InferenceDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.id, hex::encode(self.version), hex::encode(self.bytes))
    }
}

impl fmt::Debug for InferenceDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for InferenceDigest {
    type Err = ParseInferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut all = [0; ID + VERSION + BYTES];
        hex::decode_to_slice(text, &mut all).map_err(ParseInferenceError)?;
        let (mut id, mut version, mut bytes) = ([0; ID], [0; VERSION], [0; BYTES]);
        let parts = id.iter_mut().chain(&mut version).chain(&mut bytes);
        parts.zip(all).for_each(|(part, byte)| *part = byte);
        Ok(Self { id: InferenceId(id), version, bytes })
    }
}

/// The error of parsing an [`InferenceDigest`] or [`InferenceId`].
#[derive(Debug, thiserror::Error)]
#[error("invalid inference digest; expected 24 or 48 hexadecimal digits")]
pub struct ParseInferenceError(#[source] hex::FromHexError);

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

    #[test]
    fn model_id_version_and_bytes_distinguish_inferences() {
        let of = |model: &str, key: InferenceKey, body: &[u8]| {
            InferenceDigest::of(&model.parse().unwrap(), &key, Digest::of(body))
        };
        let key = |id: &str, version: &str| InferenceKey::versioned(id, version);
        let one = of("/m", key("k", "1"), b"x");
        assert_eq!(one.to_string().parse::<InferenceDigest>().unwrap(), one);
        assert_eq!(one.id().to_string().parse::<InferenceId>().unwrap(), one.id());
        let other_bytes = of("/m", key("k", "1"), b"y");
        assert!(one.is_same_version(&other_bytes) && one != other_bytes);
        let other_version = of("/m", key("k", "2"), b"x");
        assert!(!one.is_same_version(&other_version) && one.id() == other_version.id());
        assert_ne!(one.id(), of("/n", key("k", "1"), b"x").id());
        assert_ne!(one.id(), of("/m", key("l", "1"), b"x").id());
        assert_ne!(one.id(), of("/m", key("k", "1").within([("account", "B")]), b"x").id());
        assert!("00".parse::<InferenceDigest>().is_err());
    }
}
