use std::fmt;

use super::{DeliveryId, InferenceDigest, OutcomeKind};

/// The longest reason that is kept, in bytes.
const LONGEST_REASON: usize = 512;

/// What became of a delivery.
///
/// Reads and writes as one line of text, which is how archives keep it.
///
/// ```
/// use tower_inbox::Outcome;
///
/// let outcome = Outcome::processed(200);
/// assert_eq!(outcome.to_string(), "processed 200");
/// assert_eq!("processed 200".parse::<Outcome>()?, outcome);
/// # Ok::<(), tower_inbox::delivery::ParseOutcomeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Not settled: it waits for its handler, or its handler is at work. So is every delivery without an outcome; this
    /// one was begun before, or given back.
    Pending {
        /// How often its handler was begun.
        attempts: u32,
        /// How often in a row the process ended while its handler was at work.
        crashes: u32,
        /// Whether its handler is at work. Found so at the start, the process ended meanwhile.
        running: bool,
    },
    /// The handler took it. It is not run again.
    Processed {
        /// The status that the handler answered, and that a repeat is answered with.
        status: u16,
        /// Which inference it was, by which it is known again in another delivery.
        inference: Option<InferenceDigest>,
    },
    /// The handler did not take it this time. It will be tried again.
    Failed {
        /// How often its handler was begun.
        attempts: u32,
        /// Why, in a few words; never a part of the body.
        reason: String,
    },
    /// The handler will not take it. It is not tried again, unless the sender repeats it or somebody asks for it.
    Dead {
        /// Why, in a few words; never a part of the body.
        reason: String,
        /// Whether it took the process down with it too often. Then it is not tried again when the sender repeats it,
        /// either.
        put_aside: bool,
    },
    /// The body could not be loaded into the model's type.
    Undecodable {
        /// Where and why, in a few words; never a value of the body.
        reason: String,
    },
    /// The same inference was already there.
    Repeat {
        /// The delivery that came first.
        of: DeliveryId,
    },
}

impl Outcome {
    /// Which of the outcomes this is, without its details.
    pub fn kind(&self) -> OutcomeKind {
        match self {
            Self::Pending { .. } => OutcomeKind::Pending,
            Self::Processed { .. } => OutcomeKind::Processed,
            Self::Failed { .. } => OutcomeKind::Failed,
            Self::Dead { .. } => OutcomeKind::Dead,
            Self::Undecodable { .. } => OutcomeKind::Undecodable,
            Self::Repeat { .. } => OutcomeKind::Repeat,
        }
    }

    /// Whether the delivery is done with: neither pending nor failed, which will be tried again.
    pub fn is_settled(&self) -> bool {
        self.kind().is_settled()
    }

    /// What it is once somebody wants the handler to have it again; nothing for what is processed, a repeat or pending.
    pub(crate) fn again(&self) -> Option<Self> {
        let pending = Self::Pending { attempts: 0, crashes: 0, running: false };
        match self.kind() {
            OutcomeKind::Dead | OutcomeKind::Undecodable | OutcomeKind::Failed => Some(pending),
            OutcomeKind::Processed | OutcomeKind::Repeat | OutcomeKind::Pending => None,
        }
    }

    /// Processed, and answered with this status.
    pub fn processed(status: u16) -> Self {
        Self::Processed { status, inference: None }
    }

    /// Failed at the first attempt, for a reason that is cut to one line of at most 512 bytes.
    pub fn failed(reason: impl fmt::Display) -> Self {
        Self::failed_at(1, reason)
    }

    /// Failed after so many attempts, for a reason that is cut to one line of at most 512 bytes.
    pub fn failed_at(attempts: u32, reason: impl fmt::Display) -> Self {
        Self::Failed { attempts, reason: one_line(&reason) }
    }

    /// Dead, for a reason that is cut to one line of at most 512 bytes.
    pub fn dead(reason: impl fmt::Display) -> Self {
        Self::Dead { reason: one_line(&reason), put_aside: false }
    }

    /// Dead since it took the process down with it, for a reason that is cut to one line of at most 512 bytes.
    pub fn put_aside(reason: impl fmt::Display) -> Self {
        Self::Dead { reason: one_line(&reason), put_aside: true }
    }

    /// Undecodable, for a reason that is cut to one line of at most 512 bytes.
    pub fn undecodable(reason: impl fmt::Display) -> Self {
        Self::Undecodable { reason: one_line(&reason) }
    }
}

fn one_line(reason: &impl fmt::Display) -> String {
    let mut line: String =
        reason.to_string().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line.truncate(line.floor_char_boundary(LONGEST_REASON));
    line.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_short_line() {
        let reason = format!("a\r\nb{}", "é".repeat(512));
        let Outcome::Failed { reason, .. } = Outcome::failed(reason) else {
            panic!("not failed");
        };
        assert!(reason.starts_with("a  b") && reason.len() <= 512);
    }

    #[test]
    fn what_will_be_tried_is_not_settled() {
        let pending = Outcome::Pending { attempts: 1, crashes: 0, running: true };
        assert!(!pending.is_settled() && !Outcome::failed("x").is_settled());
        assert!(Outcome::processed(200).is_settled() && Outcome::dead("x").is_settled());
    }
}
