use std::{fmt, str::FromStr};

use super::DeliveryId;

/// The longest reason that is kept, in bytes.
const LONGEST_REASON: usize = 512;

/// What became of a delivery.
///
/// Reads and writes as one line of text, which is how archives keep it.
///
/// ```
/// use tower_inbox::Outcome;
///
/// let outcome = Outcome::Processed { status: 200 };
/// assert_eq!(outcome.to_string(), "processed 200");
/// assert_eq!("processed 200".parse::<Outcome>()?, outcome);
/// # Ok::<(), tower_inbox::delivery::ParseOutcomeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The handler took it. It is not run again.
    Processed {
        /// The status that the handler answered, and that a repeat is answered with.
        status: u16,
    },
    /// The handler did not take it this time. It will be tried again.
    Failed {
        /// Why, in a few words; never a part of the body.
        reason: String,
    },
    /// The handler will not take it. It is not tried again, unless the sender repeats it or somebody asks for it.
    Dead {
        /// Why, in a few words; never a part of the body.
        reason: String,
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
            Self::Processed { .. } => OutcomeKind::Processed,
            Self::Failed { .. } => OutcomeKind::Failed,
            Self::Dead { .. } => OutcomeKind::Dead,
            Self::Undecodable { .. } => OutcomeKind::Undecodable,
            Self::Repeat { .. } => OutcomeKind::Repeat,
        }
    }

    /// Failed, for a reason that is cut to one line of at most 512 bytes.
    pub fn failed(reason: impl fmt::Display) -> Self {
        Self::Failed { reason: one_line(&reason) }
    }

    /// Dead, for a reason that is cut to one line of at most 512 bytes.
    pub fn dead(reason: impl fmt::Display) -> Self {
        Self::Dead { reason: one_line(&reason) }
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

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind();
        match self {
            Self::Processed { status } => write!(f, "{kind} {status}"),
            Self::Failed { reason } | Self::Dead { reason } | Self::Undecodable { reason } => {
                write!(f, "{kind} {reason}")
            }
            Self::Repeat { of } => write!(f, "{kind} {of}"),
        }
    }
}

impl FromStr for Outcome {
    type Err = ParseOutcomeError;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
        match kind.parse()? {
            OutcomeKind::Processed => rest.parse().ok().map(|status| Self::Processed { status }),
            OutcomeKind::Failed => Some(Self::failed(rest)),
            OutcomeKind::Dead => Some(Self::dead(rest)),
            OutcomeKind::Undecodable => Some(Self::undecodable(rest)),
            OutcomeKind::Repeat => rest.parse().ok().map(|of| Self::Repeat { of }),
        }
        .ok_or(ParseOutcomeError(()))
    }
}

/// An outcome without its details, for queries and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OutcomeKind {
    /// See [`Outcome::Processed`].
    Processed,
    /// See [`Outcome::Failed`].
    Failed,
    /// See [`Outcome::Dead`].
    Dead,
    /// See [`Outcome::Undecodable`].
    Undecodable,
    /// See [`Outcome::Repeat`].
    Repeat,
}

impl OutcomeKind {
    /// The word for it, as in archives, logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Processed => "processed",
            Self::Failed => "failed",
            Self::Dead => "dead",
            Self::Undecodable => "undecodable",
            Self::Repeat => "repeat",
        }
    }
}

impl fmt::Display for OutcomeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for OutcomeKind {
    type Err = ParseOutcomeError;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        [Self::Processed, Self::Failed, Self::Dead, Self::Undecodable, Self::Repeat]
            .into_iter()
            .find(|kind| kind.as_str() == word)
            .ok_or(ParseOutcomeError(()))
    }
}

/// A text that is not an outcome.
#[derive(Debug, thiserror::Error)]
#[error("this is not an outcome: it begins with processed, failed, dead, undecodable or repeat")]
pub struct ParseOutcomeError(());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_reads_back() {
        for outcome in [
            Outcome::Processed { status: 204 },
            Outcome::failed("the handler answered 500"),
            Outcome::dead("the handler answered 404"),
            Outcome::undecodable("$.inference.id is missing"),
            Outcome::failed(""),
            Outcome::Repeat { of: DeliveryId::new() },
        ] {
            assert_eq!(outcome.to_string().parse::<Outcome>().unwrap(), outcome);
        }
    }

    #[test]
    fn a_reason_is_one_short_line() {
        let Outcome::Failed { reason } = Outcome::failed(format!("a\r\nb{}", "é".repeat(512)))
        else {
            panic!("not failed");
        };
        assert!(reason.starts_with("a  b") && reason.len() <= 512);
    }

    #[test]
    fn other_lines_are_refused() {
        for line in ["", "processed", "processed ok", "repeat x", "lost 1"] {
            assert!(line.parse::<Outcome>().is_err(), "{line:?}");
        }
    }
}
