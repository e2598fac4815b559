use std::{collections::HashMap, time::SystemTime};

use super::EntryRef;
use crate::archive::disk::name::SegmentName;

/// What there is, all in all.
#[derive(Debug, Default)]
pub(in crate::archive::disk) struct Survey {
    /// When the first and the last delivery of each segment were received, as far as it holds bodies.
    pub(in crate::archive::disk) times: HashMap<SegmentName, (SystemTime, SystemTime)>,
    /// How many deliveries are remembered of which nothing is left but their lines in the ledger.
    pub(in crate::archive::disk) removed: usize,
}

impl Survey {
    pub(super) fn add(&mut self, kept: &EntryRef<'_>) {
        let Some(place) = kept.place else {
            self.removed += 1;
            return;
        };
        let at = kept.received_at;
        let (first, last) = self.times.entry(place.segment).or_insert((at, at));
        (*first, *last) = ((*first).min(at), (*last).max(at));
    }
}
