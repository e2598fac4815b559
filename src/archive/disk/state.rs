use std::{
    collections::{BTreeSet, HashMap, HashSet},
    path::PathBuf,
};

use super::{forget::Ledger, inventory::Inventory, medium::Lock, name::SegmentName};

/// The state of maintenance. Locked while a segment is changed.
#[derive(Debug)]
pub(super) struct State {
    /// Excludes other writers while segments are changed, even if the writer has died. `None` once the archive is
    /// closed.
    pub(super) lock: Option<Lock>,
    /// Segments that are partly damaged. They are left as they are until their deliveries are removed.
    pub(super) damaged: HashSet<SegmentName>,
    /// Facts about segments that contain only ledger entries.
    pub(super) ledgers: HashMap<SegmentName, Ledger>,
    /// Whether a power failure could bring back the old file of a rewritten segment.
    pub(super) unsynced: bool,
    /// Files that may contain removed deliveries, and could not be deleted.
    pub(super) leftovers: BTreeSet<PathBuf>,
    /// Requests from other processes that could not be read, executed or answered. Each is logged once.
    pub(super) failed_requests: BTreeSet<PathBuf>,
    /// The segments that should exist.
    pub(super) inventory: Inventory,
}

impl State {
    pub(super) fn new(lock: Lock, inventory: Inventory) -> Self {
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
