use std::{fmt, str::FromStr};

use sha2::{Digest as _, Sha256};

/// The SHA-256 of a body: what tells two deliveries of the same bytes.
///
/// ```
/// use tower_inbox::Digest;
///
/// let digest = Digest::of(b"");
/// assert!(digest.to_string().starts_with("e3b0c442"));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Hashes `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Hashes a sequence of fields, each behind its length, so that no two sequences hash the same bytes.
    pub(super) fn of_fields<'f>(fields: impl IntoIterator<Item = &'f [u8]>) -> Self {
        let hash = fields.into_iter().fold(Sha256::new(), |hash, field| {
            hash.chain_update((field.len() as u64).to_be_bytes()).chain_update(field)
        });
        Self(hash.finalize().into())
    }

    /// Returns a digest from its thirty-two bytes, as an archive stored them.
    pub(crate) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The thirty-two bytes of the digest.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Lower-case hexadecimal, as WARC tools write it after `sha256:`.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every delivery that is archived is printed so: one byte after the other takes ten times as long.
        let mut digits = [0; 64];
        hex::encode_to_slice(self.0, &mut digits).map_err(|_| fmt::Error)?;
        f.write_str(std::str::from_utf8(&digits).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| ParseDigestError(()))?;
        Ok(Self(bytes))
    }
}

/// The error of parsing a [`Digest`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid SHA-256 digest: expected 64 hexadecimal digits")]
pub struct ParseDigestError(());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_and_parses() {
        // FIPS 180-4, the example of one block: "abc".
        let digest = Digest::of(b"abc");
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest.to_string(), text);
        assert_eq!(text.parse::<Digest>().unwrap(), digest);
        assert!(text[1..].parse::<Digest>().is_err());
    }

    #[test]
    fn where_one_field_ends_and_the_next_begins_counts() {
        let of = |fields: &[&str]| Digest::of_fields(fields.iter().map(|field| field.as_bytes()));
        let all =
            [of(&[]), of(&[""]), of(&["ab"]), of(&["a", "b"]), of(&["ab", ""]), of(&["", "ab"])];
        for (place, one) in all.iter().enumerate() {
            assert!(all[..place].iter().all(|other| other != one), "{place}");
        }
    }
}
