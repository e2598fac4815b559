use std::time::SystemTime;

use crate::delivery::{DeliveryId, ModelName, State};

/// The metadata of a delivery, available without reading its head and body.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LedgerEntry {
    /// The delivery.
    pub id: DeliveryId,
    /// Its model.
    pub model: ModelName,
    /// When it was received.
    pub received_at: SystemTime,
    /// Its state.
    pub state: State,
}

impl LedgerEntry {
    /// For archives: creates the ledger entry of a delivery.
    pub fn new(id: DeliveryId, model: ModelName, received_at: SystemTime, state: State) -> Self {
        Self { id, model, received_at, state }
    }
}
