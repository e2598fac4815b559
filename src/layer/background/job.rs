use crate::{
    delivery::{DeliveryId, ModelName},
    layer::dedup::Thing,
};

/// A delivery that is to be handled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) id: DeliveryId,
    pub(crate) model: ModelName,
    /// Whether the process ended when it was last handled. Of those only one is handled at a time, so that one that
    /// takes the process down does not make others look as if they had.
    pub(crate) suspect: bool,
    /// Whether it was found at the start, and may have been begun without a record of it.
    pub(crate) left: bool,
    /// What it is about, if somebody else was at that when it came to its handler.
    pub(crate) wants: Option<Thing>,
}

impl Job {
    /// Of a delivery of which nothing bad is known.
    pub(crate) fn new(id: DeliveryId, model: ModelName) -> Self {
        Self { id, model, suspect: false, left: false, wants: None }
    }
}
