use std::time::{Duration, SystemTime};

use crate::delivery::DeliveryId;

/// When a delivery was received: as a rule within a moment of the making of its id, which tells the time as well.
///
/// In nanoseconds after the millisecond of the id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Received(i32);

impl Received {
    /// Stands for a time that is kept elsewhere.
    pub(super) const ELSEWHERE: Self = Self(i32::MIN);

    /// The time of receipt of a delivery with this id; `None` if it is more than two seconds away from that of the id.
    pub(super) fn beside(id: DeliveryId, received_at: SystemTime) -> Option<Self> {
        let made_at = id.made_at()?;
        let nanos = |time: Duration| i32::try_from(time.as_nanos()).ok();
        match received_at.duration_since(made_at) {
            Ok(after) => nanos(after),
            Err(before) => nanos(before.duration()).map(|nanos| -nanos),
        }
        .map(Self)
    }

    /// The time; `None` if it is kept elsewhere.
    pub(super) fn at(self, id: DeliveryId) -> Option<SystemTime> {
        let away = Duration::from_nanos(self.0.unsigned_abs().into());
        match self {
            Self::ELSEWHERE => None,
            Self(0..) => id.made_at()?.checked_add(away),
            Self(_) => id.made_at()?.checked_sub(away),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_near_that_of_the_id_reads_back_and_any_other_is_kept_elsewhere() {
        let id = DeliveryId::new();
        let made_at = id.made_at().unwrap();
        let nanos = Duration::from_nanos;
        for near in [made_at, made_at + nanos(2_147_483_647), made_at - nanos(2_147_483_647)] {
            assert_eq!(Received::beside(id, near).unwrap().at(id), Some(near));
        }
        for far in [made_at + nanos(2_147_483_648), made_at - nanos(2_147_483_648)] {
            assert_eq!(Received::beside(id, far), None);
        }
        assert_eq!(Received::ELSEWHERE.at(id), None);
    }
}
