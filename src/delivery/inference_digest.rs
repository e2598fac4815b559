use std::{fmt, str::FromStr};

use super::{Digest, InferenceKey, ModelName};

/// Identifies the inference that a delivery carried: its id, its version, and the bytes it came in, as digests.
///
/// 24 bytes, because an archive keeps one for every processed delivery. The id keeps 96 bits of its digest, so no two
/// ids collide by chance. The version and the bytes are compared only where the id is equal.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct InferenceDigest {
    id: InferenceId,
    version: [u8; VERSION],
    bytes: [u8; BYTES],
}

/// The digest of a model and the provider's id of an inference, without its version: what is processed one at a time.
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

    /// How many bytes [`to_bytes`](Self::to_bytes) gives.
    #[cfg(feature = "disk")]
    pub(crate) const LENGTH: usize = ID + VERSION + BYTES;

    /// The bytes of the digest, for archives that store it.
    #[cfg(feature = "disk")]
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

    /// Returns true if `other` has the same model, id and version, whatever bytes it came in.
    pub fn is_same_version(&self, other: &Self) -> bool {
        self.id == other.id && self.version == other.version
    }
}

/// The first bytes of a digest, which has more than any caller asks for.
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

/// A text that is not the digest of an inference.
#[derive(Debug, thiserror::Error)]
#[error("invalid inference digest; expected 24 or 48 hexadecimal digits")]
pub struct ParseInferenceError(#[source] hex::FromHexError);

#[cfg(test)]
mod tests {
    use super::*;

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
