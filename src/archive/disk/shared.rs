use std::sync::{Mutex, PoisonError, RwLock};

use super::index::Index;

/// The index, shared by many readers and one writer.
///
/// A reader with many queries takes the lock again immediately after releasing it, which would starve the writer,
/// because it is woken too late each time. Therefore all threads wait at a gate, which the writer holds until it has
/// the lock.
#[derive(Debug, Default)]
pub(super) struct SharedIndex {
    index: RwLock<Index>,
    gate: Mutex<()>,
}

impl SharedIndex {
    pub(super) fn new(index: Index) -> Self {
        Self { index: RwLock::new(index), gate: Mutex::default() }
    }

    /// Queries the index, holding the lock only for the query.
    pub(super) fn read<T>(&self, question: impl FnOnce(&Index) -> T) -> T {
        let gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        drop(gate);
        question(&index)
    }

    /// Changes the index.
    pub(super) fn write<T>(&self, change: impl FnOnce(&mut Index) -> T) -> T {
        let gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        drop(gate);
        change(&mut index)
    }
}
