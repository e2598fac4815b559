use std::time::{Duration, SystemTime};

use super::reasons::Reasons;
use crate::delivery::{DeliveryId, InferenceDigest, Outcome, State, StateKind};

/// The state of a delivery in as few bytes as possible. A reason is its number in [`Reasons`]; the inference of a failed or
/// dead delivery, which few have, is stored elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PackedState {
    Pending {
        attempts: u32,
        crashes: u32,
    },
    Leased {
        attempts: u32,
        crashes: u32,
    },
    Processed {
        status: u16,
    },
    ProcessedAs {
        status: u16,
        inference: InferenceDigest,
    },
    Failed {
        attempts: u32,
        reason: u32,
        due: Option<Due>,
    },
    Dead {
        reason: u32,
        poisoned: bool,
    },
    Undecodable {
        reason: u32,
    },
    Repeat {
        of: DeliveryId,
    },
    /// The ledger entry of the delivery was dropped.
    Forgotten,
}

/// A time in whole seconds since 1970, until 2106: later times become the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Due(u32);

impl Due {
    fn at(time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self(u32::try_from(since.as_secs()).unwrap_or(u32::MAX))
    }

    fn time(self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.0.into())
    }
}

impl PackedState {
    pub(super) const NEW: Self = Self::Pending { attempts: 0, crashes: 0 };

    pub(super) fn of(state: &State, reasons: &mut Reasons) -> Self {
        let outcome = match *state {
            State::Pending { attempts, crashes } => return Self::Pending { attempts, crashes },
            State::Leased { attempts, crashes } => return Self::Leased { attempts, crashes },
            State::Outcome(ref outcome) => outcome,
        };
        match *outcome {
            Outcome::Processed { status, inference: None } => Self::Processed { status },
            Outcome::Processed { status, inference: Some(inference) } => {
                Self::ProcessedAs { status, inference }
            }
            Outcome::Failed { attempts, ref reason, due, inference: _ } => {
                Self::Failed { attempts, reason: reasons.take(reason), due: due.map(Due::at) }
            }
            Outcome::Dead { ref reason, poisoned, inference: _ } => {
                Self::Dead { reason: reasons.take(reason), poisoned }
            }
            Outcome::Undecodable { ref reason } => {
                Self::Undecodable { reason: reasons.take(reason) }
            }
            Outcome::Repeat { of } => Self::Repeat { of },
        }
    }

    /// The state, with the inference that is stored elsewhere.
    pub(super) fn state(self, reasons: &Reasons, inference: Option<InferenceDigest>) -> State {
        let text = |reason| reasons.get(reason).unwrap_or_default().to_owned();
        match self {
            Self::Forgotten => return State::NEW,
            Self::Pending { attempts, crashes } => return State::Pending { attempts, crashes },
            Self::Leased { attempts, crashes } => return State::Leased { attempts, crashes },
            Self::Processed { status } => Outcome::Processed { status, inference: None },
            Self::ProcessedAs { status, inference } => {
                Outcome::Processed { status, inference: Some(inference) }
            }
            Self::Failed { attempts, reason, due } => Outcome::Failed {
                attempts,
                reason: text(reason),
                due: due.map(Due::time),
                inference,
            },
            Self::Dead { reason, poisoned } => {
                Outcome::Dead { reason: text(reason), poisoned, inference }
            }
            Self::Undecodable { reason } => Outcome::Undecodable { reason: text(reason) },
            Self::Repeat { of } => Outcome::Repeat { of },
        }
        .into()
    }

    pub(super) fn kind(self) -> StateKind {
        match self {
            Self::Forgotten | Self::Pending { .. } => StateKind::Pending,
            Self::Leased { .. } => StateKind::Leased,
            Self::Processed { .. } | Self::ProcessedAs { .. } => StateKind::Processed,
            Self::Failed { .. } => StateKind::Failed,
            Self::Dead { .. } => StateKind::Dead,
            Self::Undecodable { .. } => StateKind::Undecodable,
            Self::Repeat { .. } => StateKind::Repeat,
        }
    }

    /// The number of the reason, if there is one.
    pub(super) fn reason(self) -> Option<u32> {
        match self {
            Self::Failed { reason, .. }
            | Self::Dead { reason, .. }
            | Self::Undecodable { reason } => Some(reason),
            _ => None,
        }
    }

    /// The inference that it was processed as, if any.
    pub(super) fn processed_as(self) -> Option<InferenceDigest> {
        match self {
            Self::ProcessedAs { inference, .. } => Some(inference),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::{Digest, InferenceKey};

    #[test]
    fn every_state_reads_back_and_keeps_its_kind() {
        let mut reasons = Reasons::default();
        let model = "/m".parse().unwrap();
        let inference =
            Some(InferenceDigest::of(&model, &InferenceKey::new("key"), Digest::of(b"")));
        let late = SystemTime::UNIX_EPOCH + Duration::from_hours(500_000);
        for state in [
            State::Pending { attempts: 3, crashes: 1 },
            State::Leased { attempts: 3, crashes: 1 },
            Outcome::processed(204).into(),
            Outcome::processed(200).with_inference(inference).into(),
            Outcome::failed_at(7, "no").into(),
            Outcome::failed_at(7, "no").due_at(late).with_inference(inference).into(),
            Outcome::dead("no").into(),
            Outcome::poisoned("no").with_inference(inference).into(),
            Outcome::undecodable("$.a").into(),
            Outcome::repeat(DeliveryId::new()).into(),
        ] {
            let packed = PackedState::of(&state, &mut reasons);
            assert_eq!(packed.kind(), state.kind());
            let elsewhere = state.inference().filter(|_| packed.processed_as().is_none());
            assert_eq!(packed.state(&reasons, elsewhere), state);
        }
    }
}
