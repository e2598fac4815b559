use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::{
    archive::{
        LedgerEntry, Query,
        disk::format::{
            entry::{DeliveryMeta, Place, ShortFingerprint},
            name::SegmentName,
        },
        transition::Known,
    },
    delivery::{DeliveryId, InferenceDigest, ModelName, State, StateKind},
};

/// Identifies an entry by its segment and its number in that segment. Both are stable. Ordered as in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::archive::disk) struct Position {
    pub(in crate::archive::disk) segment: SegmentName,
    pub(in crate::archive::disk) number: u32,
}

/// A position between two records of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(in crate::archive::disk) struct LogPosition {
    pub(in crate::archive::disk) sequence: u64,
    pub(in crate::archive::disk) offset: u64,
}

/// The position of a record in its segment, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::archive::disk) struct Span {
    pub(in crate::archive::disk) offset: u64,
    pub(in crate::archive::disk) length: u64,
}

impl Span {
    pub(in crate::archive::disk) fn of(place: Place) -> Self {
        Self { offset: place.offset, length: place.length }
    }

    pub(in crate::archive::disk) fn in_segment(self, segment: SegmentName) -> Place {
        Place { segment, offset: self.offset, length: self.length }
    }
}

/// The part of a delivery that is stored in the segment of its entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::archive::disk) enum Body {
    Stored(Span),
    /// Removed; its bytes are not erased yet.
    Removed(Span),
    /// Removed and erased; only its ledger entry remains.
    Erased,
    /// Bytes of a delivery whose entry is in another segment, because its batch was written twice.
    Copy(Span),
    /// Nothing: the delivery was forgotten, or its entry is in another segment.
    Forgotten,
}

/// The indexed fields of a delivery record, or of its ledger entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::archive::disk) struct IndexEntry {
    pub(in crate::archive::disk) id: DeliveryId,
    pub(in crate::archive::disk) model: ModelName,
    pub(in crate::archive::disk) fingerprint: ShortFingerprint,
    pub(in crate::archive::disk) received_at: SystemTime,
    pub(in crate::archive::disk) body: Body,
    pub(in crate::archive::disk) state: State,
}

impl IndexEntry {
    pub(super) fn new(meta: &DeliveryMeta, body: Body, state: State) -> Self {
        Self {
            id: meta.id,
            model: meta.model.clone(),
            fingerprint: meta.fingerprint,
            received_at: meta.received_at,
            body,
            state,
        }
    }

    /// Returns false for a copy of a delivery, and for a forgotten entry.
    pub(in crate::archive::disk) fn is_delivery(&self) -> bool {
        !matches!(self.body, Body::Copy(_) | Body::Forgotten)
    }

    /// Returns true if the entry must be in memory, because it still requires work.
    pub(in crate::archive::disk) fn needs_attention(&self) -> bool {
        match self.body {
            Body::Stored(_) => !self.state.is_settled(),
            Body::Removed(_) | Body::Copy(_) => true,
            // A lease remains valid after a removal.
            Body::Erased => matches!(self.state, State::Leased { .. }),
            Body::Forgotten => false,
        }
    }

    /// The inference that the delivery was processed as, if any.
    pub(in crate::archive::disk) fn processed_as(&self) -> Option<InferenceDigest> {
        let is_processed = self.state.kind() == StateKind::Processed && self.is_delivery();
        self.state.inference().filter(|_| is_processed)
    }

    /// The place of the delivery's record, unless the delivery was removed.
    pub(super) fn place(&self, segment: SegmentName) -> Option<Place> {
        match self.body {
            Body::Stored(span) => Some(span.in_segment(segment)),
            _ => None,
        }
    }
}

/// One delivery, as of the time of the query.
#[derive(Clone, Debug)]
pub(in crate::archive::disk) struct DeliveryEntry {
    pub(in crate::archive::disk) position: Position,
    pub(in crate::archive::disk) id: DeliveryId,
    pub(in crate::archive::disk) model: ModelName,
    pub(in crate::archive::disk) received_at: SystemTime,
    /// `None` after removal.
    pub(in crate::archive::disk) place: Option<Place>,
    /// Whether a read has found its record damaged.
    pub(in crate::archive::disk) unreadable: bool,
    pub(in crate::archive::disk) state: State,
}

impl DeliveryEntry {
    /// The properties that a transition depends on.
    pub(in crate::archive::disk) fn known(&self) -> Known {
        Known { state: self.state.clone(), has_body: self.place.is_some() && !self.unreadable }
    }

    pub(in crate::archive::disk) fn ledger_entry(&self) -> LedgerEntry {
        LedgerEntry::new(self.id, self.model.clone(), self.received_at, self.state.clone())
    }

    /// Returns true if the delivery has a body and `query` selects it.
    pub(in crate::archive::disk) fn is_selected(&self, query: &Query) -> bool {
        self.place.is_some()
            && query.selects_meta(self.id, &self.model, self.received_at)
            && query.selects_state(&self.state)
    }
}

/// Bytes of a segment that are not a record.
#[derive(Clone, Copy, Debug)]
pub(in crate::archive::disk) struct Damage {
    pub(in crate::archive::disk) segment: SegmentName,
    pub(in crate::archive::disk) offset: u64,
}
