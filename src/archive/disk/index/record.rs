use std::{
    num::NonZeroU32,
    time::{Duration, SystemTime},
};

use super::outcomes::Brief;
use crate::delivery::{DeliveryId, Fingerprint};

/// How much of a fingerprint is kept: of 128 bits no two are the same by chance.
pub(super) const FINGERPRINT: usize = 16;

/// What the index keeps of each delivery. There may be millions, so it is small.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) id: DeliveryId,
    pub(super) fingerprint: [u8; FINGERPRINT],
    received_at: u64,
    pub(super) spot: Option<Spot>,
    pub(super) model: NonZeroU32,
    pub(super) outcome: Brief,
}

/// Where a record lies, in numbers of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) offset: u64,
    pub(super) length: u32,
    pub(super) segment: NonZeroU32,
}

impl Record {
    pub(super) fn new(
        id: DeliveryId,
        fingerprint: Fingerprint,
        received_at: SystemTime,
        spot: Option<Spot>,
        model: NonZeroU32,
    ) -> Self {
        let since = received_at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        // Until the year 2554.
        let received_at = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        let fingerprint = short(fingerprint);
        Self { id, fingerprint, received_at, spot, model, outcome: Brief::None }
    }

    pub(super) fn is_remembered(&self) -> bool {
        self.outcome != Brief::Forgotten
    }

    pub(super) fn received_at(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_nanos(self.received_at)
    }
}

pub(super) fn short(fingerprint: Fingerprint) -> [u8; FINGERPRINT] {
    fingerprint.as_bytes().first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_small() {
        assert_eq!(size_of::<Record>(), 72);
    }
}
