use std::time::SystemTime;

use super::name::SegmentName;
use crate::delivery::{Delivery, DeliveryId, Fingerprint, ModelName, State};

/// What is known of a delivery without its head and body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DeliveryMeta {
    pub(super) id: DeliveryId,
    pub(super) model: ModelName,
    pub(super) fingerprint: ShortFingerprint,
    pub(super) received_at: SystemTime,
}

impl DeliveryMeta {
    pub(super) fn of(delivery: &Delivery) -> Self {
        Self {
            id: delivery.id(),
            model: delivery.model().clone(),
            fingerprint: short(delivery.fingerprint()),
            received_at: delivery.received_at(),
        }
    }
}

/// How much of a fingerprint is kept: of 96 bits no two are the same by chance.
pub(super) type ShortFingerprint = [u8; 12];

pub(super) fn short(fingerprint: Fingerprint) -> ShortFingerprint {
    fingerprint.as_bytes().first_chunk().copied().unwrap_or_default()
}

/// What stays of a delivery that was removed: its ledger entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tombstone {
    pub(super) meta: DeliveryMeta,
    pub(super) state: State,
    pub(super) removed_at: SystemTime,
}

/// The most deliveries that one record of a removal names.
pub(super) const MAX_REMOVED: usize = 1024;

/// What is written to the log.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    /// A delivery that is stored, pending or leased.
    Delivery { delivery: Delivery, leased: bool },
    /// The state of a delivery from now on.
    State { of: DeliveryId, state: State },
    /// These deliveries are removed from now on: at most [`MAX_REMOVED`]. Their bytes are still in their segments.
    Removal(Vec<DeliveryId>),
    /// The ledger entries of deliveries whose bytes are gone, in the place of their records: at most
    /// [`MAX_LEDGER_ENTRIES`](super::warc::MAX_LEDGER_ENTRIES).
    Removed(Vec<Tombstone>),
}

/// The state of a delivery when its record was written.
pub(super) fn first_state(leased: bool) -> State {
    if leased { State::NEW.leased() } else { State::NEW }
}

/// Where a record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) segment: SegmentName,
    pub(super) offset: u64,
    /// From the first byte of the header to the last of the trailer.
    pub(super) length: u64,
}
