use std::{fmt, str::FromStr};

use crc32fast::Hasher;

use crate::delivery::{DeliveryId, Digest};

/// Random bits that every checksum of a segment begins with.
///
/// A body is written by strangers and may hold what looks like a record. Without the salt they could give it a checksum
/// that holds, and a reader that looks for the next record behind a damage would take it for a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in super::super) struct Salt(u64);

impl Salt {
    pub(in super::super) const LEAST: Self = Self(0);
    pub(in super::super) const GREATEST: Self = Self(u64::MAX);

    /// A salt that nobody can guess.
    pub(in super::super) fn random() -> Self {
        // Of one id the time is known, and of its random bits not all are independent of the next id's.
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

/// A CRC-32 in the making. Finds damage; against an attacker it is as good as its salt is unknown.
#[derive(Clone, Debug)]
pub(in super::super) struct Checksum(Hasher);

impl Checksum {
    pub(in super::super) fn new(salt: Salt) -> Self {
        let mut hasher = Hasher::new();
        hasher.update(&salt.0.to_be_bytes());
        Self(hasher)
    }

    pub(in super::super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(in super::super) fn with(mut self, bytes: &[u8]) -> Self {
        self.update(bytes);
        self
    }

    pub(in super::super) fn finish(self) -> u32 {
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
        // CRC-32 as in zlib: anyone can check a segment with it.
        assert_eq!(Checksum(Hasher::new()).with(b"123456789").finish(), 0xcbf4_3926);
    }
}
