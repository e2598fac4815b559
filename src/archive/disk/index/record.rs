use std::num::NonZeroU32;

use super::{packed_state::PackedState, received::Received};
use crate::{
    archive::disk::entry::{DeliveryMeta, Place},
    delivery::{DeliveryId, Fingerprint},
};

/// How much of a fingerprint is kept: of 96 bits no two are the same by chance.
pub(super) type ShortFingerprint = [u8; 12];

/// What the index keeps of each delivery. There may be millions, so it is small.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) id: DeliveryId,
    pub(super) fingerprint: ShortFingerprint,
    pub(super) received: Received,
    pub(super) spot: Option<Spot>,
    pub(super) model: NonZeroU32,
    pub(super) state: PackedState,
}

/// Where a record lies, in numbers of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) offset: u32,
    /// With the offset [`FAR`](Self::FAR), both are kept elsewhere.
    pub(super) length: u32,
    pub(super) segment: NonZeroU32,
}

impl Spot {
    /// The offset that stands for one from 4 GiB on, or for a record as long.
    pub(super) const FAR: u32 = u32::MAX;

    /// A place whose offset and length fit.
    pub(super) fn near(place: Place, segment: NonZeroU32) -> Option<Self> {
        let offset = u32::try_from(place.offset).ok().filter(|offset| *offset != Self::FAR)?;
        Some(Self { offset, length: u32::try_from(place.length).ok()?, segment })
    }
}

impl Record {
    pub(super) fn new(
        meta: &DeliveryMeta,
        received: Received,
        spot: Option<Spot>,
        model: NonZeroU32,
    ) -> Self {
        Self {
            id: meta.id,
            fingerprint: short(meta.fingerprint),
            received,
            spot,
            model,
            state: PackedState::NEW,
        }
    }

    pub(super) fn is_remembered(&self) -> bool {
        self.state != PackedState::Forgotten
    }
}

pub(super) fn short(fingerprint: Fingerprint) -> ShortFingerprint {
    fingerprint.as_bytes().first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_small() {
        assert_eq!(size_of::<Record>(), 76);
    }
}
