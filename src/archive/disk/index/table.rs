use std::hash::{BuildHasher, Hash, RandomState};

use hashbrown::HashTable;

/// Finds the numbers of things that lie somewhere else. Takes some ten bytes each.
#[derive(Debug, Default)]
pub(super) struct Table {
    numbers: HashTable<u32>,
    /// Nobody outside can tell which keys share a place.
    hasher: RandomState,
}

impl Table {
    /// The number of `key`. Of a number, `key_of` tells the key.
    pub(super) fn get<K: Eq + Hash>(
        &self,
        key: &K,
        key_of: impl Fn(u32) -> Option<K>,
    ) -> Option<u32> {
        let is_it = |number: &u32| key_of(*number).as_ref() == Some(key);
        self.numbers.find(self.hasher.hash_one(Some(key)), is_it).copied()
    }

    /// Gives `key` this number, in the place of the one that it has.
    pub(super) fn set<K: Eq + Hash>(
        &mut self,
        key: &K,
        number: u32,
        key_of: impl Fn(u32) -> Option<K>,
    ) {
        let hasher = &self.hasher;
        let is_it = |number: &u32| key_of(*number).as_ref() == Some(key);
        let hash = |number: &u32| hasher.hash_one(key_of(*number));
        match self.numbers.find_mut(hasher.hash_one(Some(key)), is_it) {
            Some(known) => *known = number,
            None => drop(self.numbers.insert_unique(hasher.hash_one(Some(key)), number, hash)),
        }
    }

    /// Forgets that `key` has this number.
    pub(super) fn forget<K: Eq + Hash>(&mut self, key: &K, number: u32) {
        let is_it = |known: &u32| *known == number;
        if let Ok(entry) = self.numbers.find_entry(self.hasher.hash_one(Some(key)), is_it) {
            entry.remove();
        }
    }

    /// Gives room back, if most of it is not needed any more.
    pub(super) fn shrink<K: Hash>(&mut self, key_of: impl Fn(u32) -> Option<K>) {
        let (hasher, needed) = (&self.hasher, self.numbers.len());
        if needed < self.numbers.capacity() / 4 {
            self.numbers.shrink_to(2 * needed, |number| hasher.hash_one(key_of(*number)));
        }
    }

    /// Makes room for so many more.
    pub(super) fn reserve<K: Hash>(&mut self, more: usize, key_of: impl Fn(u32) -> Option<K>) {
        let hasher = &self.hasher;
        self.numbers.reserve(more, |number| hasher.hash_one(key_of(*number)));
    }
}
