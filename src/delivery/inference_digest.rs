use std::{fmt, str::FromStr};

use super::{Digest, InferenceKey, ModelName};

/// Which inference of a model a delivery carried, and in which bytes: enough to recognize it later.
///
/// Takes 20 bytes, since an archive keeps one for every processed delivery. It holds 96 bits of the key's hash, so that
/// two keys do not collide by chance, and 64 bits of the body's digest, which are compared only where the key is the
/// same.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct InferenceDigest {
    key: [u8; KEY],
    bytes: [u8; BYTES],
}

const KEY: usize = 12;
const BYTES: usize = 8;

impl InferenceDigest {
    /// Returns the digest of the inference `key` of `model`, with its scope and version, in a body with the digest
    /// `body`.
    ///
    /// ```
    /// use tower_inbox::{Digest, delivery::InferenceDigest, provider::InferenceKey};
    ///
    /// let model = "/hooks/invoices".parse()?;
    /// let of = |key: &InferenceKey| InferenceDigest::of(&model, key, Digest::of(b"{}"));
    /// assert_ne!(of(&InferenceKey::versioned("a", "1")), of(&InferenceKey::versioned("a", "2")));
    /// # Ok::<(), tower_inbox::delivery::ModelNameError>(())
    /// ```
    pub fn of(model: &ModelName, key: &InferenceKey, body: Digest) -> Self {
        let key = Digest::of_fields([model.as_str().as_bytes(), key.to_string().as_bytes()]);
        Self { key: first(&key), bytes: first(&body) }
    }

    /// Returns the digest that all versions of the id of `key` share. Two keys with the same model, id and scope give
    /// digests with the same [`key`](Self::key).
    pub fn of_all_versions(model: &ModelName, key: &InferenceKey, body: Digest) -> Self {
        Self::of(model, &key.without_version(), body)
    }

    /// Whether the other has the same model and key: the same inference, or a new version of it.
    pub fn has_key_of(&self, other: &Self) -> bool {
        self.key == other.key
    }

    /// Returns the hash of model and key.
    pub fn key(&self) -> [u8; KEY] {
        self.key
    }
}

/// The first bytes of a digest; there are always enough.
fn first<const N: usize>(digest: &Digest) -> [u8; N] {
    digest.as_bytes().first_chunk().copied().unwrap_or([0; N])
}

/// Forty hexadecimal digits.
impl fmt::Display for InferenceDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.key))?;
        f.write_str(&hex::encode(self.bytes))
    }
}

impl fmt::Debug for InferenceDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for InferenceDigest {
    type Err = ParseInferenceDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut both = [0; KEY + BYTES];
        hex::decode_to_slice(text, &mut both).map_err(|_| ParseInferenceDigestError(()))?;
        let parts = both.first_chunk().copied().zip(both.last_chunk().copied());
        let (key, bytes) = parts.ok_or(ParseInferenceDigestError(()))?;
        Ok(Self { key, bytes })
    }
}

/// The error of parsing an [`InferenceDigest`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid inference digest: expected 40 hexadecimal digits")]
pub struct ParseInferenceDigestError(());

#[cfg(test)]
mod tests {
    use super::*;

    fn of(model: &str, key: &InferenceKey, body: &[u8]) -> InferenceDigest {
        InferenceDigest::of(&model.parse().unwrap(), key, Digest::of(body))
    }

    #[test]
    fn model_key_and_bytes_all_count_and_it_reads_back() {
        let (k, l) = (InferenceKey::new("k"), InferenceKey::new("l"));
        let one = of("/m", &k, b"x");
        assert_eq!(one.to_string().parse::<InferenceDigest>().unwrap(), one);
        assert!(one.has_key_of(&of("/m", &k, b"y")) && one != of("/m", &k, b"y"));
        assert!(!one.has_key_of(&of("/n", &k, b"x")) && !one.has_key_of(&of("/m", &l, b"x")));
    }

    #[test]
    fn scope_and_version_count_and_all_versions_share_one_key() {
        let [one, two] = ["1", "2"].map(|version| InferenceKey::versioned("k", version));
        let elsewhere = one.clone().within([("account", "B")]);
        assert!(!of("/m", &one, b"x").has_key_of(&of("/m", &two, b"x")));
        assert!(!of("/m", &one, b"x").has_key_of(&of("/m", &elsewhere, b"x")));
        let all =
            |key| InferenceDigest::of_all_versions(&"/m".parse().unwrap(), key, Digest::of(b"x"));
        assert_eq!(all(&one), all(&two));
        assert_ne!(all(&one), all(&elsewhere));
    }

    #[test]
    fn other_text_is_refused() {
        let text = of("/m", &InferenceKey::new("k"), b"x").to_string();
        for other in
            ["", "00", &text[1..], &format!("{text}00000000"), &text.replace(&text[..1], "g")]
        {
            assert_eq!(other.parse::<InferenceDigest>(), Err(ParseInferenceDigestError(())));
        }
    }
}
