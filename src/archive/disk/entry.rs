use std::time::SystemTime;

use super::name::SegmentName;
use crate::delivery::{Delivery, DeliveryId, Digest, ModelName, Outcome};

/// What is known of a delivery without its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) id: DeliveryId,
    pub(super) model: ModelName,
    pub(super) digest: Digest,
    pub(super) received_at: SystemTime,
}

impl Facts {
    pub(super) fn of(delivery: &Delivery) -> Self {
        Self {
            id: delivery.id(),
            model: delivery.model().clone(),
            digest: delivery.digest(),
            received_at: delivery.received_at(),
        }
    }
}

/// What stays of a delivery that was removed: its line in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tombstone {
    pub(super) facts: Facts,
    pub(super) outcome: Option<Outcome>,
    pub(super) removed_at: SystemTime,
}

/// What is written to the log.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    /// A delivery that was not there before.
    Delivery(Delivery),
    /// What became of a delivery.
    Outcome { of: DeliveryId, outcome: Outcome },
    /// The bytes of a delivery came once more.
    Repeat { of: DeliveryId, id: DeliveryId, received_at: SystemTime },
    /// A delivery was removed.
    Removed(Tombstone),
}

/// Where a record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) segment: SegmentName,
    pub(super) offset: u64,
    /// From the first byte of the header to the last of the trailer.
    pub(super) length: u64,
}
