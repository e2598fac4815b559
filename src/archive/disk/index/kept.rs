use std::{borrow::Cow, time::SystemTime};

use crate::{
    archive::{Query, disk::entry::Place},
    delivery::{DeliveryId, ModelName, Outcome},
};

/// One delivery of the index, as it is now.
#[derive(Clone, Debug)]
pub(in crate::archive::disk) struct Kept<'i> {
    pub(in crate::archive::disk) id: DeliveryId,
    pub(in crate::archive::disk) model: &'i ModelName,
    pub(in crate::archive::disk) received_at: SystemTime,
    /// `None` once it was removed.
    pub(in crate::archive::disk) place: Option<Place>,
    pub(in crate::archive::disk) outcome: Option<Cow<'i, Outcome>>,
}

impl Kept<'_> {
    pub(in crate::archive::disk) fn outcome(&self) -> Option<Outcome> {
        self.outcome.clone().map(Cow::into_owned)
    }

    /// Whether a repeat of it can be answered: its bytes are there, or are not needed any more.
    pub(super) fn stands(&self) -> bool {
        self.place.is_some() || self.outcome.as_deref().is_some_and(Outcome::is_settled)
    }

    /// Whether it is there and `query` selects it.
    pub(in crate::archive::disk) fn is_selected(&self, query: &Query) -> bool {
        self.place.is_some()
            && query.selects_facts(self.id, self.model, self.received_at)
            && query.selects_outcome(self.outcome.as_deref())
    }
}
