use std::time::SystemTime;

use super::name::SegmentName;
use crate::delivery::{Delivery, DeliveryId, Fingerprint, ModelName, State};

/// The metadata of a delivery, without its head and body.
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

/// The stored prefix of a fingerprint: 96 bits, which makes accidental collisions negligible.
pub(super) type ShortFingerprint = [u8; 12];

pub(super) fn short(fingerprint: Fingerprint) -> ShortFingerprint {
    fingerprint.as_bytes().first_chunk().copied().unwrap_or_default()
}

/// The ledger entry of a removed delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tombstone {
    pub(super) meta: DeliveryMeta,
    pub(super) state: State,
    pub(super) removed_at: SystemTime,
}

/// The maximum number of deliveries named by one removal record.
pub(super) const MAX_REMOVED: usize = 1024;

/// An entry that is written to the log.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    /// A delivery that is stored, pending or leased.
    Delivery { delivery: Delivery, leased: bool },
    /// The new state of a delivery.
    State { of: DeliveryId, state: State },
    /// The removal of these deliveries: at most [`MAX_REMOVED`]. Their bytes are still in their segments.
    Removal(Vec<DeliveryId>),
    /// The ledger entries of deliveries whose bytes are gone, in place of their records: at most
    /// [`MAX_LEDGER_ENTRIES`](super::warc::MAX_LEDGER_ENTRIES).
    Removed(Vec<Tombstone>),
}

/// Returns the state of a delivery at the time its record was written.
pub(super) fn first_state(leased: bool) -> State {
    if leased { State::NEW.leased() } else { State::NEW }
}

/// The location of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) segment: SegmentName,
    pub(super) offset: u64,
    /// The length from the first byte of the header to the last byte of the trailer.
    pub(super) length: u64,
}
