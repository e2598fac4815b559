use std::time::SystemTime;

use crate::delivery::{DeliveryId, ModelName, Outcome};

/// What is known of a delivery without reading it: its line in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Line {
    /// The delivery.
    pub id: DeliveryId,
    /// The model that it is for.
    pub model: ModelName,
    /// When it was received.
    pub received_at: SystemTime,
    /// What became of it last; `None` while it is pending and was never begun.
    pub outcome: Option<Outcome>,
}

impl Line {
    /// For archives: what they know of a delivery.
    pub fn new(
        id: DeliveryId,
        model: ModelName,
        received_at: SystemTime,
        outcome: Option<Outcome>,
    ) -> Self {
        Self { id, model, received_at, outcome }
    }
}
