use std::time::SystemTime;

use super::{packed_state::PackedState, reasons::Reasons};
use crate::{
    archive::{LedgerEntry, Query, disk::entry::Place, transition::Known},
    delivery::{DeliveryId, InferenceDigest, ModelName, State, StateKind},
};

/// One delivery of the index, as it is now.
#[derive(Clone, Debug)]
pub(in crate::archive::disk) struct EntryRef<'i> {
    pub(in crate::archive::disk) id: DeliveryId,
    pub(in crate::archive::disk) model: &'i ModelName,
    pub(in crate::archive::disk) received_at: SystemTime,
    /// None once it was removed.
    pub(in crate::archive::disk) place: Option<Place>,
    /// Whether a read has found its record damaged.
    pub(in crate::archive::disk) unreadable: bool,
    pub(super) packed: PackedState,
    /// The inference of a failed or dead delivery.
    pub(super) inference: Option<InferenceDigest>,
    pub(super) reasons: &'i Reasons,
}

impl EntryRef<'_> {
    pub(in crate::archive::disk) fn state(&self) -> State {
        self.packed.state(self.reasons, self.inference)
    }

    pub(in crate::archive::disk) fn kind(&self) -> StateKind {
        self.packed.kind()
    }

    /// What a transition depends on.
    pub(in crate::archive::disk) fn known(&self) -> Known {
        Known { state: self.state(), has_body: self.place.is_some() && !self.unreadable }
    }

    pub(in crate::archive::disk) fn ledger_entry(&self) -> LedgerEntry {
        LedgerEntry::new(self.id, self.model.clone(), self.received_at, self.state())
    }

    /// Whether it has a body and `query` selects it.
    pub(in crate::archive::disk) fn is_selected(&self, query: &Query) -> bool {
        let inference = self.packed.processed_as().or(self.inference);
        self.place.is_some()
            && query.selects_meta(self.id, self.model, self.received_at)
            && query.selects_kind(self.kind(), inference.map(|inference| inference.id()))
    }
}
