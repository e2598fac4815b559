use std::{
    collections::{BTreeSet, HashMap, HashSet},
    path::PathBuf,
};

use super::{forget::Ledger, inventory::Inventory};
use crate::archive::disk::{format::name::SegmentName, fs::file_system::Lock};

/// The state of maintenance. Locked while a segment is changed.
#[derive(Debug)]
pub(in crate::archive::disk) struct CompactionState {
    /// Excludes other writers while segments are changed, even if the writer has died. `None` once the archive is
    /// closed.
    pub(in crate::archive::disk) lock: Option<Lock>,
    /// Segments that are partly damaged. They are left as they are until their deliveries are removed.
    pub(in crate::archive::disk) damaged: HashSet<SegmentName>,
    /// Facts about segments that contain only ledger entries.
    pub(in crate::archive::disk) ledgers: HashMap<SegmentName, Ledger>,
    /// Whether a power failure could bring back the old file of a rewritten segment.
    pub(in crate::archive::disk) unsynced: bool,
    /// Files that may contain removed deliveries, and could not be deleted.
    pub(in crate::archive::disk) leftovers: BTreeSet<PathBuf>,
    /// Requests from other processes that could not be read, executed or answered. Each is logged once.
    pub(in crate::archive::disk) failed_requests: BTreeSet<PathBuf>,
    /// The segments that should exist.
    pub(in crate::archive::disk) inventory: Inventory,
}

impl CompactionState {
    pub(in crate::archive::disk) fn new(lock: Lock, inventory: Inventory) -> Self {
        Self {
            lock: Some(lock),
            damaged: HashSet::new(),
            ledgers: HashMap::new(),
            unsynced: false,
            leftovers: BTreeSet::new(),
            failed_requests: BTreeSet::new(),
            inventory,
        }
    }
}
