use std::time::{Duration, SystemTime};

use super::reasons::Reasons;
use crate::delivery::{DeliveryId, InferenceDigest, Outcome, OutcomeKind};

/// What became of a delivery, in as few bytes as it takes: a reason is the number of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Brief {
    /// Nothing yet.
    None,
    Pending {
        attempts: u32,
        crashes: u32,
        running: bool,
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
        put_aside: bool,
    },
    Undecodable {
        reason: u32,
    },
    Repeat {
        of: DeliveryId,
    },
    /// The delivery is not remembered any more.
    Forgotten,
}

/// A time in whole seconds after the beginning of 1970, until 2106: what is due later than that is due then.
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

impl Brief {
    pub(super) fn of(outcome: &Outcome, reasons: &mut Reasons) -> Self {
        match *outcome {
            Outcome::Pending { attempts, crashes, running } => {
                Self::Pending { attempts, crashes, running }
            }
            Outcome::Processed { status, inference: None } => Self::Processed { status },
            Outcome::Processed { status, inference: Some(inference) } => {
                Self::ProcessedAs { status, inference }
            }
            Outcome::Failed { attempts, ref reason, due } => {
                Self::Failed { attempts, reason: reasons.take(reason), due: due.map(Due::at) }
            }
            Outcome::Dead { ref reason, put_aside } => {
                Self::Dead { reason: reasons.take(reason), put_aside }
            }
            Outcome::Undecodable { ref reason } => {
                Self::Undecodable { reason: reasons.take(reason) }
            }
            Outcome::Repeat { of } => Self::Repeat { of },
        }
    }

    /// The outcome, if there is one.
    pub(super) fn outcome(self, reasons: &Reasons) -> Option<Outcome> {
        let text = |reason| reasons.get(reason).unwrap_or_default().to_owned();
        Some(match self {
            Self::None | Self::Forgotten => return None,
            Self::Pending { attempts, crashes, running } => {
                Outcome::Pending { attempts, crashes, running }
            }
            Self::Processed { status } => Outcome::Processed { status, inference: None },
            Self::ProcessedAs { status, inference } => {
                Outcome::Processed { status, inference: Some(inference) }
            }
            Self::Failed { attempts, reason, due } => {
                Outcome::Failed { attempts, reason: text(reason), due: due.map(Due::time) }
            }
            Self::Dead { reason, put_aside } => Outcome::Dead { reason: text(reason), put_aside },
            Self::Undecodable { reason } => Outcome::Undecodable { reason: text(reason) },
            Self::Repeat { of } => Outcome::Repeat { of },
        })
    }

    pub(super) fn kind(self) -> OutcomeKind {
        match self {
            Self::None | Self::Forgotten | Self::Pending { .. } => OutcomeKind::Pending,
            Self::Processed { .. } | Self::ProcessedAs { .. } => OutcomeKind::Processed,
            Self::Failed { .. } => OutcomeKind::Failed,
            Self::Dead { .. } => OutcomeKind::Dead,
            Self::Undecodable { .. } => OutcomeKind::Undecodable,
            Self::Repeat { .. } => OutcomeKind::Repeat,
        }
    }

    /// The number of the reason, where there is one.
    pub(super) fn reason(self) -> Option<u32> {
        match self {
            Self::Failed { reason, .. }
            | Self::Dead { reason, .. }
            | Self::Undecodable { reason } => Some(reason),
            _ => None,
        }
    }

    /// As which inference it was processed, if as one.
    pub(super) fn inference(self) -> Option<InferenceDigest> {
        match self {
            Self::ProcessedAs { inference, .. } => Some(inference),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::Digest;
    use crate::delivery::InferenceKey;

    #[test]
    fn every_outcome_reads_back_and_keeps_its_kind() {
        let mut reasons = Reasons::default();
        let inference =
            InferenceDigest::of(&"/m".parse().unwrap(), &InferenceKey::new("key"), Digest::of(b""));
        for outcome in [
            Outcome::Pending { attempts: 3, crashes: 1, running: true },
            Outcome::processed(204),
            Outcome::Processed { status: 200, inference: Some(inference) },
            Outcome::failed_at(7, "no"),
            Outcome::Failed {
                attempts: 7,
                reason: "no".to_owned(),
                due: Some(SystemTime::UNIX_EPOCH + Duration::from_hours(500_000)),
            },
            Outcome::dead("no"),
            Outcome::Dead { reason: "no".to_owned(), put_aside: true },
            Outcome::undecodable("$.a"),
            Outcome::Repeat { of: DeliveryId::new() },
        ] {
            let brief = Brief::of(&outcome, &mut reasons);
            assert_eq!(brief.kind(), outcome.kind());
            assert_eq!(brief.outcome(&reasons), Some(outcome));
        }
    }
}
