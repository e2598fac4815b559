use std::hash::{BuildHasher, Hash, RandomState};

use hashbrown::HashTable;

/// How many parts a table has.
const PARTS: usize = 16;

/// Finds the numbers of things that lie somewhere else. Takes some eight bytes each.
///
/// A hash table doubles when it is full, and is half empty from then on. This one is made of parts that are unlike in
/// size, so that they double one after the other: it never takes much more than the mean, and never stands still for
/// long.
#[derive(Debug, Default)]
pub(super) struct Table {
    parts: [HashTable<u32>; PARTS],
    /// Nobody outside can tell which keys share a place.
    hasher: RandomState,
}

impl Table {
    /// A number of `key`. Of a number, `key_of` tells the key.
    pub(super) fn get<K: Eq + Hash>(
        &self,
        key: &K,
        key_of: impl Fn(u32) -> Option<K>,
    ) -> Option<u32> {
        self.all(key, key_of).next()
    }

    /// The numbers of `key`, in no order.
    pub(super) fn all<'t, K: Eq + Hash + 't>(
        &'t self,
        key: &'t K,
        key_of: impl Fn(u32) -> Option<K> + 't,
    ) -> impl Iterator<Item = u32> + 't {
        let hash = self.hasher.hash_one(Some(key));
        let numbers = self.parts.get(part(hash)).into_iter().flat_map(move |it| it.iter_hash(hash));
        numbers.copied().filter(move |number| key_of(*number).as_ref() == Some(key))
    }

    /// Gives `key` this number, beside those that it has.
    pub(super) fn add<K: Hash>(&mut self, key: &K, number: u32, key_of: impl Fn(u32) -> Option<K>) {
        let Self { parts, hasher } = self;
        let hash = hasher.hash_one(Some(key));
        if let Some(part) = parts.get_mut(part(hash)) {
            part.insert_unique(hash, number, |number| hasher.hash_one(key_of(*number)));
        }
    }

    /// Forgets that `key` has this number.
    pub(super) fn forget<K: Hash>(&mut self, key: &K, number: u32) {
        let hash = self.hasher.hash_one(Some(key));
        let entry =
            self.parts.get_mut(part(hash)).map(|part| part.find_entry(hash, |it| *it == number));
        if let Some(Ok(entry)) = entry {
            entry.remove();
        }
    }

    /// Gives room back, if most of it is not needed any more.
    pub(super) fn shrink<K: Hash>(&mut self, key_of: impl Fn(u32) -> Option<K>) {
        let Self { parts, hasher } = self;
        for part in parts.iter_mut().filter(|part| part.len() < part.capacity() / 4) {
            part.shrink_to(2 * part.len(), |number| hasher.hash_one(key_of(*number)));
        }
    }

    /// Makes room for so many more.
    pub(super) fn reserve<K: Hash>(&mut self, more: usize, key_of: impl Fn(u32) -> Option<K>) {
        let Self { parts, hasher } = self;
        for part in parts {
            part.reserve(more / PARTS, |number| hasher.hash_one(key_of(*number)));
        }
    }
}

/// Which part a key with this hash belongs to. Each part has a sixteenth root of two times the share of the one before:
/// the last has twice the share that one more than it would have after the first.
fn part(hash: u64) -> usize {
    // Neither the bits by which a part finds a place nor those by which it tells numbers apart.
    let [.., high, low, _, _, _] = hash.to_be_bytes();
    let share = u16::from_be_bytes([high, low]);
    ENDS.iter().take_while(|end| share >= **end).count()
}

/// Where each part but the last ends, of 65 536: the powers of the sixteenth root of two, less one.
const ENDS: [u16; PARTS - 1] = [
    2_902, 5_932, 9_096, 12_400, 15_851, 19_454, 23_217, 27_146, 31_250, 35_535, 40_010, 44_682,
    49_562, 54_658, 59_979,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(many: u32) -> Table {
        let mut table = Table::default();
        (0..many).for_each(|number| table.add(&number, number, Some));
        table
    }

    #[test]
    fn a_key_has_the_numbers_that_it_was_given() {
        let half = |number| Some(number / 2);
        let mut table = Table::default();
        (0..1000).for_each(|number| table.add(&(number / 2), number, half));
        let mut both: Vec<_> = table.all(&7, half).collect();
        both.sort_unstable();
        assert_eq!(both, [14, 15]);
        table.forget(&7, 14);
        assert_eq!(table.get(&7, half), Some(15));
        assert_eq!(table.get(&2000, Some), None);
    }

    #[test]
    fn each_part_has_a_sixteenth_root_of_two_times_the_share_of_the_one_before() {
        for (end, part) in ENDS.into_iter().zip(1_u8..) {
            let exactly = 65_536.0 * ((f64::from(part) / 16.0).exp2() - 1.0);
            assert!((f64::from(end) - exactly).abs() < 1.0, "{part}: {end} for {exactly}");
        }
    }

    #[test]
    fn it_takes_about_as_much_for_each_whatever_their_number() {
        for many in (12_000..50_000).step_by(1_000) {
            let room: usize = filled(many).parts.iter().map(HashTable::allocation_size).sum();
            let each = room / usize::try_from(many).unwrap();
            assert!((7..=9).contains(&each), "{many}: {each}");
        }
    }
}
