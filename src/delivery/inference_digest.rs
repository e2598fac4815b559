use std::{fmt, str::FromStr};

use super::{Digest, ModelName};

/// Which inference of a model a delivery carried, and in which bytes: enough to know it again, and no more.
///
/// Takes 20 bytes, since an archive remembers one for every processed delivery. Of the key it keeps 96 bits, which no two
/// keys share by chance; of the bytes 64, which are only compared where the key is the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct InferenceDigest {
    key: [u8; KEY],
    bytes: [u8; BYTES],
}

const KEY: usize = 12;
const BYTES: usize = 8;
/// How many bytes of the key stood there before. Archives of then are read as long as they are.
const KEY_BEFORE: usize = 16;

impl InferenceDigest {
    /// Of the inference `key` of `model`, as it came in a body with the digest `body`.
    pub fn of(model: &ModelName, key: &str, body: Digest) -> Self {
        // Names hold no line break.
        let key = Digest::of(format!("{model}\n{key}").as_bytes());
        Self { key: first(&key), bytes: first(&body) }
    }

    /// Whether the other is of the same model and key: the same inference, or a new version of it.
    pub fn has_key_of(&self, other: &Self) -> bool {
        self.key == other.key
    }

    /// What stands for model and key.
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
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let both = hex::decode(text)?;
        let parts = match both.len() {
            length if length == KEY + BYTES || length == KEY_BEFORE + BYTES => {
                both.first_chunk().zip(both.last_chunk())
            }
            _ => None,
        };
        let (key, bytes) = parts.ok_or(hex::FromHexError::InvalidStringLength)?;
        Ok(Self { key: *key, bytes: *bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn model_key_and_bytes_all_count_and_it_reads_back() {
        let of = |model: &str, key, body: &[u8]| {
            InferenceDigest::of(&model.parse().unwrap(), key, Digest::of(body))
        };
        let one = of("/m", "k", b"x");
        assert_eq!(one.to_string().parse::<InferenceDigest>().unwrap(), one);
        assert!(one.has_key_of(&of("/m", "k", b"y")) && one != of("/m", "k", b"y"));
        assert!(!one.has_key_of(&of("/n", "k", b"x")) && !one.has_key_of(&of("/m", "l", b"x")));
        assert!("00".parse::<InferenceDigest>().is_err());
        let text = one.to_string();
        let (key, bytes) = text.split_at(2 * KEY);
        let before = format!("{key}{}{bytes}", "f".repeat(2 * (KEY_BEFORE - KEY)));
        assert_eq!(before.parse::<InferenceDigest>().unwrap(), one);
    }
}
