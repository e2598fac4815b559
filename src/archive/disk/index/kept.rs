use std::time::SystemTime;

use super::{brief::Brief, reasons::Reasons};
use crate::{
    archive::{Query, disk::entry::Place},
    delivery::{DeliveryId, ModelName, Outcome, OutcomeKind},
};

/// One delivery of the index, as it is now.
#[derive(Clone, Debug)]
pub(in crate::archive::disk) struct Kept<'i> {
    pub(in crate::archive::disk) id: DeliveryId,
    pub(in crate::archive::disk) model: &'i ModelName,
    pub(in crate::archive::disk) received_at: SystemTime,
    /// `None` once it was removed.
    pub(in crate::archive::disk) place: Option<Place>,
    pub(super) brief: Brief,
    pub(super) reasons: &'i Reasons,
}

impl Kept<'_> {
    pub(in crate::archive::disk) fn outcome(&self) -> Option<Outcome> {
        self.brief.outcome(self.reasons)
    }

    /// The kind of its outcome. Without one it is pending.
    pub(in crate::archive::disk) fn kind(&self) -> OutcomeKind {
        self.brief.kind()
    }

    /// Whether a repeat of it can be answered: its bytes are there, or are not needed any more.
    pub(super) fn stands(&self) -> bool {
        self.place.is_some() || self.kind().is_settled()
    }

    /// Whether it is there and `query` selects it.
    pub(in crate::archive::disk) fn is_selected(&self, query: &Query) -> bool {
        self.place.is_some()
            && query.selects_facts(self.id, self.model, self.received_at)
            && query.selects_kind(self.kind())
    }
}
