use std::{
    collections::{BTreeSet, HashMap, HashSet},
    path::PathBuf,
};

use super::{forget::Ledger, inventory::Inventory, medium::Lock, name::SegmentName};

/// Held by who changes a segment.
#[derive(Debug)]
pub(super) struct State {
    /// Keeps others out while segments are changed, also where the writer has died. `None` once the archive is closed.
    pub(super) lock: Option<Lock>,
    /// Segments of which a part is damaged. They are left as they are until their deliveries are removed.
    pub(super) damaged: HashSet<SegmentName>,
    /// What is known of segments in which nothing lies but the ledger.
    pub(super) ledgers: HashMap<SegmentName, Ledger>,
    /// Whether the power could bring back what a segment was before it was written anew.
    pub(super) unsynced: bool,
    /// Files that may hold what was removed, and could not be removed themselves.
    pub(super) leftovers: BTreeSet<PathBuf>,
    /// Requests of other processes that could not be read, executed or answered. Each is logged once.
    pub(super) failed_requests: BTreeSet<PathBuf>,
    /// The segments that there are to be.
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
