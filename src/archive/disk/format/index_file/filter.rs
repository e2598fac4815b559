use super::layout::PAYLOAD;

/// Tests, without reading the file, whether a key may be in an index file or is certainly absent.
///
/// A Bloom filter in blocks of 64 bytes (Putze, Sanders, Singler: "Cache-, Hash- and Space-Efficient Bloom Filters",
/// 2007), so that a lookup touches one cache line. Uses two bytes per key; about one in a thousand absent keys is a
/// false positive. The keys are digests, so that their bytes serve as the hashes.
#[derive(Clone, Debug, Default)]
pub(in crate::archive::disk) struct Filter(Vec<u8>);

const BLOCK: usize = 64;
const BYTES_PER_KEY: usize = 2;

/// The number of bits that a key sets: the number of 9-bit groups that fit in eight bytes.
const BITS: u32 = 7;

impl Filter {
    pub(super) fn of<'k>(keys: usize, all: impl Iterator<Item = &'k [u8; 12]>) -> Self {
        if keys == 0 {
            return Self::default();
        }
        let mut filter = Self(vec![0; (keys * BYTES_PER_KEY).div_ceil(BLOCK) * BLOCK]);
        for key in all {
            let block = filter.block(key);
            for (byte, bit) in bits(key) {
                if let Some(byte) = filter.0.get_mut(block + byte) {
                    *byte |= bit;
                }
            }
        }
        filter
    }

    pub(super) fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns true if the key may be present.
    pub(super) fn may_hold(&self, key: &[u8; 12]) -> bool {
        let block = self.block(key);
        bits(key).all(|(byte, bit)| self.0.get(block + byte).is_some_and(|byte| byte & bit != 0))
    }

    /// Returns the offset of the block of a key.
    fn block(&self, key: &[u8; 12]) -> usize {
        let blocks = (self.0.len() / BLOCK) as u64;
        let share = key.first_chunk().map_or(0, |bytes| u64::from(u32::from_le_bytes(*bytes)));
        usize::try_from((share * blocks) >> 32).unwrap_or_default() * BLOCK
    }
}

/// Returns the bits that a key sets in its block.
fn bits(key: &[u8; 12]) -> impl Iterator<Item = (usize, u8)> {
    let mut left = key.last_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    (0..BITS).map(move |_| {
        let bit = left % (BLOCK as u64 * 8);
        left /= BLOCK as u64 * 8;
        (usize::try_from(bit / 8).unwrap_or_default(), 1 << (bit % 8))
    })
}

const _: () = assert!(PAYLOAD > BLOCK, "a filter is stored as a text");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::Digest;

    fn key(number: u32) -> [u8; 12] {
        *Digest::of(&number.to_le_bytes()).as_bytes().first_chunk().unwrap()
    }

    #[test]
    fn filter_holds_every_key_and_is_rarely_wrong_about_others() {
        let keys: Vec<_> = (0..10_000).map(key).collect();
        let filter = Filter::of(keys.len(), keys.iter());
        assert_eq!(filter.as_bytes().len(), 20_032);
        assert!(keys.iter().all(|key| filter.may_hold(key)));
        let wrong = (10_000..110_000).map(key).filter(|key| filter.may_hold(key)).count();
        assert!(wrong < 500, "{wrong} of 100000");
        assert!(!Filter::default().may_hold(&keys[0]), "an empty filter holds nothing");
    }
}
