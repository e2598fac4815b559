use std::sync::{Mutex, PoisonError, RwLock};

use super::index::Index;

/// The index, which many read and one writes.
///
/// Who asks it in many parts takes the lock again as soon as it has given it back, and would keep out the writer, which
/// is woken too late each time. So all wait at a gate, which the writer holds until it has the lock.
#[derive(Debug, Default)]
pub(super) struct SharedIndex {
    index: RwLock<Index>,
    gate: Mutex<()>,
}

impl SharedIndex {
    pub(super) fn new(index: Index) -> Self {
        Self { index: RwLock::new(index), gate: Mutex::default() }
    }

    /// Asks the index, and holds others up for no longer.
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
