use std::{fmt, str::FromStr};

use crc32fast::Hasher;

use crate::delivery::{DeliveryId, Digest};

/// Random bits at the start of the input of every checksum of a segment.
///
/// Senders choose the contents of a body, which may look like a record. Without the salt, a sender could give it a
/// valid checksum, and a reader that searches for the next record after damage would accept it as a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::archive::disk) struct Salt(u64);

impl Salt {
    pub(in crate::archive::disk) const LEAST: Self = Self(0);
    pub(in crate::archive::disk) const GREATEST: Self = Self(u64::MAX);

    /// Creates an unpredictable salt.
    pub(in crate::archive::disk) fn random() -> Self {
        // The time in one id is known, and its random bits are not all independent of those in the next id.
        let ids = [DeliveryId::new(), DeliveryId::new()].map(|id| *id.as_bytes());
        let digest = Digest::of(ids.as_flattened());
        Self(u64::from_le_bytes(digest.as_bytes().first_chunk().copied().unwrap_or_default()))
    }
}

/// Sixteen hexadecimal digits, as in the name of the segment.
impl fmt::Display for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Salt {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

/// A CRC-32 being computed. Detects damage; against an attacker, it is only as strong as its salt is secret.
#[derive(Clone, Debug)]
pub(in crate::archive::disk) struct Checksum(Hasher);

impl Checksum {
    pub(in crate::archive::disk) fn new(salt: Salt) -> Self {
        let mut hasher = Hasher::new();
        hasher.update(&salt.0.to_be_bytes());
        Self(hasher)
    }

    pub(in crate::archive::disk) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(in crate::archive::disk) fn with(mut self, bytes: &[u8]) -> Self {
        self.update(bytes);
        self
    }

    pub(in crate::archive::disk) fn finish(self) -> u32 {
        self.0.finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_salt_counts() {
        let sums = [1, 2].map(|salt| Checksum::new(Salt(salt)).with(b"abc").finish());
        assert_ne!(sums[0], sums[1]);
        assert_ne!(Salt::random(), Salt::random());
    }

    #[test]
    fn the_parts_count_as_one() {
        let salt = Salt(7);
        let parts = Checksum::new(salt).with(b"ab").with(b"c").finish();
        assert_eq!(parts, Checksum::new(salt).with(b"abc").finish());
        // The CRC-32 of zlib, so that a segment can be checked with standard tools.
        assert_eq!(Checksum(Hasher::new()).with(b"123456789").finish(), 0xcbf4_3926);
    }
}
