use std::time::SystemTime;

use super::name::SegmentName;
use crate::delivery::{Delivery, DeliveryId, Outcome};

/// What is written to the log.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    /// A delivery that was not there before.
    Delivery(Delivery),
    /// What became of a delivery.
    Outcome { of: DeliveryId, outcome: Outcome },
    /// The bytes of a delivery came once more.
    Repeat { of: DeliveryId, id: DeliveryId, received_at: SystemTime },
}

/// Where a record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) segment: SegmentName,
    pub(super) offset: u64,
    /// From the first byte of the header to the last of the trailer.
    pub(super) length: u64,
}
