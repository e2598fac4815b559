use std::time::SystemTime;

use super::name::SegmentName;
use crate::delivery::{Delivery, DeliveryId, Fingerprint, ModelName, State};

/// The metadata of a delivery, without its head and body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::archive::disk) struct DeliveryMeta {
    pub(in crate::archive::disk) id: DeliveryId,
    pub(in crate::archive::disk) model: ModelName,
    pub(in crate::archive::disk) fingerprint: ShortFingerprint,
    pub(in crate::archive::disk) received_at: SystemTime,
}

impl DeliveryMeta {
    pub(in crate::archive::disk) fn of(delivery: &Delivery) -> Self {
        Self {
            id: delivery.id(),
            model: delivery.model().clone(),
            fingerprint: short(delivery.fingerprint()),
            received_at: delivery.received_at(),
        }
    }
}

/// The stored prefix of a fingerprint: 96 bits, which makes accidental collisions negligible.
pub(in crate::archive::disk) type ShortFingerprint = [u8; 12];

pub(in crate::archive::disk) fn short(fingerprint: Fingerprint) -> ShortFingerprint {
    fingerprint.as_bytes().first_chunk().copied().unwrap_or_default()
}

/// The ledger entry of a removed delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::archive::disk) struct Tombstone {
    pub(in crate::archive::disk) meta: DeliveryMeta,
    pub(in crate::archive::disk) state: State,
    pub(in crate::archive::disk) removed_at: SystemTime,
}

/// The maximum number of deliveries named by one removal record.
pub(in crate::archive::disk) const MAX_REMOVED: usize = 1024;

/// An entry that is written to the log.
#[derive(Clone, Debug)]
pub(in crate::archive::disk) enum Entry {
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
pub(in crate::archive::disk) fn first_state(leased: bool) -> State {
    if leased { State::NEW.leased() } else { State::NEW }
}

/// The location of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::archive::disk) struct Place {
    pub(in crate::archive::disk) segment: SegmentName,
    pub(in crate::archive::disk) offset: u64,
    /// The length from the first byte of the header to the last byte of the trailer.
    pub(in crate::archive::disk) length: u64,
}
