use std::fmt;

use base64::{
    Engine,
    alphabet::STANDARD,
    decoded_len_estimate,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use zeroize::Zeroizing;

/// Encodes with padding, and decodes with and without it, because senders differ.
pub(super) const CONFIG: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// Base64 (RFC 4648, section 4).
pub(crate) const BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, CONFIG);

/// The encoding of a signature. It is part of the scheme, and never guessed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Encoding {
    /// Hexadecimal; decoded in either case, encoded in lower case.
    #[default]
    Hex,
    /// Base64 (RFC 4648, section 4); decoded with and without padding.
    Base64,
}

impl Encoding {
    pub(super) fn encode(self, bytes: &[u8]) -> String {
        match self {
            Self::Hex => hex::encode(bytes),
            Self::Base64 => BASE64.encode(bytes),
        }
    }

    pub(super) fn decode<const N: usize>(self, text: &[u8]) -> Option<[u8; N]> {
        match self {
            Self::Hex => {
                let mut bytes = [0; N];
                hex::decode_to_slice(text, &mut bytes).ok()?;
                Some(bytes)
            }
            Self::Base64 => BASE64.decode(text).ok()?.try_into().ok(),
        }
    }

    /// Describes a signature of `N` bytes, for errors.
    pub(super) fn expected<const N: usize>(self) -> &'static str {
        match (self, N) {
            (Self::Hex, 32) => "64 hexadecimal digits",
            (Self::Hex, _) => "128 hexadecimal digits",
            (Self::Base64, 32) => "32 bytes in base64",
            (Self::Base64, _) => "64 bytes in base64",
        }
    }

    pub(super) fn other(self) -> Self {
        match self {
            Self::Hex => Self::Base64,
            Self::Base64 => Self::Hex,
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hex => "hexadecimal",
            Self::Base64 => "base64",
        })
    }
}

/// The encoding of an HMAC key in the text of a secret. It is part of the scheme, and never guessed: Baseten's secrets
/// start with `whsec_`, but are used as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyEncoding {
    /// The text is the key.
    #[default]
    Text,
    /// Base64.
    Base64,
    /// Base64 after this prefix, which is optional. A `v1,` before the prefix is ignored: Supabase shows secrets as
    /// `v1,whsec_…`.
    Base64After(&'static str),
}

impl KeyEncoding {
    /// Returns the key, wiped on drop; `None` if the text is not valid.
    pub(super) fn decode(self, text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let encoded = match self {
            Self::Text => return Some(Zeroizing::new(text.to_vec())),
            Self::Base64 => text,
            Self::Base64After(prefix) => behind(text, prefix),
        };
        // Allocated in full, because a growing buffer leaves copies in memory.
        let mut key = Zeroizing::new(vec![0; decoded_len_estimate(encoded.len())]);
        let length = BASE64.decode_slice(encoded, &mut key).ok()?;
        key.truncate(length);
        Some(key)
    }
}

fn behind<'t>(text: &'t [u8], prefix: &str) -> &'t [u8] {
    let unversioned = text.strip_prefix(b"v1,").unwrap_or(text);
    unversioned.strip_prefix(prefix.as_bytes()).unwrap_or(text)
}

impl fmt::Display for KeyEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("text"),
            Self::Base64 => f.write_str("base64"),
            Self::Base64After(prefix) => write!(f, "base64, with or without {prefix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signature_of_wrong_length_is_not_decoded() {
        assert_eq!(Encoding::Hex.decode(b"0aFf"), Some([10, 255]));
        assert_eq!(Encoding::Hex.decode::<1>(b"0aFf"), None);
        assert_eq!(Encoding::Base64.decode(b"Cv8="), Some([10, 255]));
        assert_eq!(Encoding::Base64.decode(b"Cv8"), Some([10, 255]));
        assert_eq!(Encoding::Base64.decode::<3>(b"Cv8="), None);
        assert_eq!(Encoding::Base64.decode::<2>(b"0aFf"), None);
    }

    #[test]
    fn key_is_decoded_with_the_key_encoding_of_the_scheme_only() {
        let key = |encoding: KeyEncoding, text: &str| {
            encoding.decode(text.as_bytes()).map(|key| key.to_vec())
        };
        assert_eq!(key(KeyEncoding::Text, "whsec_Cv8="), Some(b"whsec_Cv8=".to_vec()));
        assert_eq!(key(KeyEncoding::Base64, "Cv8="), Some(vec![10, 255]));
        assert_eq!(key(KeyEncoding::Base64, "whsec_Cv8="), None);
        let prefixed = KeyEncoding::Base64After("whsec_");
        assert_eq!(key(prefixed, "whsec_Cv8="), Some(vec![10, 255]));
        assert_eq!(key(prefixed, "v1,whsec_Cv8="), Some(vec![10, 255]));
        assert_eq!(key(prefixed, "v1,Cv8="), None);
        assert_eq!(key(prefixed, "Cv8"), Some(vec![10, 255]));
        assert_eq!(key(prefixed, "whsec_"), Some(Vec::new()));
        assert_eq!(key(prefixed, "whsec_%"), None);
    }
}
