//! Determines which damaged bytes belong to removed deliveries and must be dropped. The records there no longer give
//! the location of a delivery.

use std::{collections::HashMap, ops::Range};

use super::rewrite::Removal;
use crate::delivery::DeliveryId;

/// A part of a damaged range.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::archive::disk) enum Part {
    /// Bytes that belong to no removed delivery.
    Rest(Range<u64>),
    /// Bytes of a removed delivery.
    Of(DeliveryId),
}

/// Splits a damaged range into parts, in order. `spoilt` is the delivery that owns the whole range, if known. For other
/// removed deliveries, the index provides the location.
pub(in crate::archive::disk) fn parts(
    damage: Range<u64>,
    spoilt: Option<DeliveryId>,
    drop: &HashMap<DeliveryId, Removal>,
) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut at = damage.start;
    for (id, lost) in lost(&damage, spoilt, drop) {
        if at < lost.start {
            parts.push(Part::Rest(at..lost.start));
        }
        parts.push(Part::Of(id));
        at = at.max(lost.end);
    }
    if at < damage.end {
        parts.push(Part::Rest(at..damage.end));
    }
    parts
}

fn lost(
    damage: &Range<u64>,
    spoilt: Option<DeliveryId>,
    drop: &HashMap<DeliveryId, Removal>,
) -> Vec<(DeliveryId, Range<u64>)> {
    let range = |id: DeliveryId, removal: &Removal| {
        if spoilt == Some(id) {
            return Some(damage.clone());
        }
        let place = removal.place;
        let (start, end) = (place.offset, place.offset.saturating_add(place.length));
        (start < damage.end && end > damage.start)
            .then(|| start.max(damage.start)..end.min(damage.end))
    };
    let lost = drop.iter().filter_map(|(id, removal)| Some((*id, range(*id, removal)?)));
    let mut lost: Vec<_> = lost.collect();
    lost.sort_unstable_by_key(|(_, range)| range.start);
    lost
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::{
        archive::disk::{
            format::entry::{DeliveryMeta, Place},
            tests::{a_place, delivery},
        },
        delivery::State,
    };

    fn removal(offset: u64, length: u64) -> Removal {
        let place = Place { offset, length, ..a_place() };
        let meta = DeliveryMeta::of(&delivery("/m", b""));
        Removal { meta, state: State::NEW, removed_at: SystemTime::UNIX_EPOCH, place }
    }

    #[test]
    fn of_damaged_bytes_those_stay_that_are_of_nobody_who_is_removed() {
        let [a, b, elsewhere, nowhere] = [(); 4].map(|()| DeliveryId::new());
        let drop = HashMap::from([
            (a, removal(120, 10)),
            (b, removal(180, 50)),
            (elsewhere, removal(200, 5)),
            (nowhere, removal(500, 5)),
        ]);
        let (of, rest) = (Part::Of, Part::Rest);
        assert_eq!(parts(100..200, None, &drop), [rest(100..120), of(a), rest(130..180), of(b)]);
        assert_eq!(parts(120..125, None, &drop), [of(a)]);
        assert_eq!(parts(0..100, None, &drop), [rest(0..100)]);
        assert_eq!(parts(0..100, Some(nowhere), &drop), [of(nowhere)]);
        let another = DeliveryId::new();
        assert_eq!(parts(0..100, Some(another), &drop), [rest(0..100)]);
    }
}
