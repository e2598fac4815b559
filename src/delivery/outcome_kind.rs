use std::{fmt, str::FromStr};

use super::ParseOutcomeError;

/// An outcome without its details, for queries and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum OutcomeKind {
    /// See [`Outcome::Pending`](super::Outcome::Pending). Deliveries without an outcome are of this kind, too.
    Pending,
    /// See [`Outcome::Processed`](super::Outcome::Processed).
    Processed,
    /// See [`Outcome::Failed`](super::Outcome::Failed).
    Failed,
    /// See [`Outcome::Dead`](super::Outcome::Dead).
    Dead,
    /// See [`Outcome::Undecodable`](super::Outcome::Undecodable).
    Undecodable,
    /// See [`Outcome::Repeat`](super::Outcome::Repeat).
    Repeat,
}

impl OutcomeKind {
    /// Every kind there is.
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Processed, Self::Failed, Self::Dead, Self::Undecodable, Self::Repeat];

    /// Whether a delivery of this kind is done with: neither pending nor failed, which will be tried again.
    pub fn is_settled(self) -> bool {
        !matches!(self, Self::Pending | Self::Failed)
    }

    /// The word for it, as in archives, logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
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
        Self::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or(ParseOutcomeError(()))
    }
}
