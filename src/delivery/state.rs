use std::{fmt, str::FromStr};

use super::{InferenceDigest, Outcome, ParseOutcomeError};

/// Where a delivery is in its life: waiting, being processed, or processed with an [`Outcome`].
///
/// Archives store it as one line of text, which reads back.
///
/// ```
/// use tower_inbox::{Outcome, delivery::State};
///
/// let state = State::from(Outcome::processed(200));
/// assert_eq!(state.to_string(), "processed 200");
/// assert_eq!("processed 200".parse::<State>()?, state);
/// # Ok::<(), tower_inbox::delivery::ParseOutcomeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// Waits to be processed.
    Pending {
        /// How often processing was started.
        attempts: u32,
        /// How many of the last attempts in a row ended because the process crashed.
        crashes: u32,
    },
    /// Is being processed under a lease, or was when the process crashed.
    Leased {
        /// How often processing was started, this attempt included.
        attempts: u32,
        /// How many of the attempts before this one, in a row, ended because the process crashed.
        crashes: u32,
    },
    /// Processing has ended with this outcome.
    Outcome(Outcome),
}

/// How many crashes in a row make a delivery dead and poisoned.
pub(crate) const MAX_CRASHES: u32 = 3;

impl State {
    /// The state of a delivery that was just appended.
    pub const NEW: Self = Self::Pending { attempts: 0, crashes: 0 };

    /// The state without its details.
    pub fn kind(&self) -> StateKind {
        match self {
            Self::Pending { .. } => StateKind::Pending,
            Self::Leased { .. } => StateKind::Leased,
            Self::Outcome(outcome) => outcome.kind(),
        }
    }

    /// The outcome, once processing has ended.
    pub fn outcome(&self) -> Option<&Outcome> {
        match self {
            Self::Outcome(outcome) => Some(outcome),
            Self::Pending { .. } | Self::Leased { .. } => None,
        }
    }

    /// Returns true if nothing more happens to the delivery by itself: not pending, not leased, not failed.
    pub fn is_settled(&self) -> bool {
        self.kind().is_settled()
    }

    /// How often processing was started. 0 where that is no longer recorded.
    pub fn attempts(&self) -> u32 {
        match self {
            Self::Pending { attempts, .. }
            | Self::Leased { attempts, .. }
            | Self::Outcome(Outcome::Failed { attempts, .. }) => *attempts,
            Self::Outcome(_) => 0,
        }
    }

    /// How many of the last attempts in a row ended because the process crashed.
    pub fn crashes(&self) -> u32 {
        match self {
            Self::Pending { crashes, .. } | Self::Leased { crashes, .. } => *crashes,
            Self::Outcome(_) => 0,
        }
    }

    /// The inference that the delivery carried, once it was decoded and processing has ended.
    pub fn inference(&self) -> Option<InferenceDigest> {
        self.outcome().and_then(Outcome::inference)
    }

    /// The state during the next attempt.
    pub(crate) fn leased(&self) -> Self {
        Self::Leased { attempts: self.attempts().saturating_add(1), crashes: self.crashes() }
    }

    /// The state after an attempt that was given up without a result. The attempt does not count.
    pub(crate) fn released(&self) -> Self {
        Self::Pending { attempts: self.attempts().saturating_sub(1), crashes: self.crashes() }
    }

    /// The state after an attempt during which the process crashed or the lease expired.
    pub(crate) fn crashed(&self) -> Self {
        let crashes = self.crashes().saturating_add(1);
        if crashes >= MAX_CRASHES {
            let reason =
                format_args!("the process crashed {crashes} times in a row during processing");
            return Outcome::poisoned(reason).into();
        }
        Self::Pending { attempts: self.attempts(), crashes }
    }

    /// Returns true if `retry` makes the delivery pending again: it is dead, undecodable or failed.
    pub(crate) fn is_retryable(&self) -> bool {
        matches!(self.kind(), StateKind::Dead | StateKind::Undecodable | StateKind::Failed)
    }

    /// Returns true if a repeat by the sender makes the delivery pending again: it is undecodable, or dead and not
    /// poisoned.
    pub(crate) fn is_revivable(&self) -> bool {
        matches!(
            self,
            Self::Outcome(Outcome::Dead { poisoned: false, .. } | Outcome::Undecodable { .. })
        )
    }

    /// Returns true if a repeat can be acknowledged although the bytes were removed, because nothing a sender does
    /// leads to another run: it is processed, a repeat, or poisoned.
    pub(crate) fn is_final(&self) -> bool {
        self.is_settled() && !self.is_revivable()
    }
}

impl From<Outcome> for State {
    fn from(outcome: Outcome) -> Self {
        Self::Outcome(outcome)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind();
        match self {
            Self::Pending { attempts, crashes } | Self::Leased { attempts, crashes } => {
                write!(f, "{kind} {attempts} {crashes}")
            }
            Self::Outcome(outcome) => fmt::Display::fmt(outcome, f),
        }
    }
}

impl FromStr for State {
    type Err = ParseOutcomeError;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let counts = |text: &str| {
            let (attempts, crashes) = text.split_once(' ')?;
            Some((attempts.parse().ok()?, crashes.parse().ok()?))
        };
        let invalid = ParseOutcomeError(());
        if let Some(text) = line.strip_prefix("pending ") {
            let (attempts, crashes) = counts(text).ok_or(invalid)?;
            return Ok(Self::Pending { attempts, crashes });
        }
        if let Some(text) = line.strip_prefix("leased ") {
            let (attempts, crashes) = counts(text).ok_or(invalid)?;
            return Ok(Self::Leased { attempts, crashes });
        }
        line.parse().map(Self::Outcome)
    }
}

/// A [`State`] without its details, for queries and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum StateKind {
    /// See [`State::Pending`].
    Pending,
    /// See [`State::Leased`].
    Leased,
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

impl StateKind {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Leased,
        Self::Processed,
        Self::Failed,
        Self::Dead,
        Self::Undecodable,
        Self::Repeat,
    ];

    /// Returns true if nothing more happens to such a delivery by itself: not pending, not leased, not failed.
    pub fn is_settled(self) -> bool {
        !matches!(self, Self::Pending | Self::Leased | Self::Failed)
    }

    /// The name in archives, logs, metrics and commands.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Leased => "leased",
            Self::Processed => "processed",
            Self::Failed => "failed",
            Self::Dead => "dead",
            Self::Undecodable => "undecodable",
            Self::Repeat => "repeat",
        }
    }
}

impl fmt::Display for StateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for StateKind {
    type Err = ParseOutcomeError;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or(ParseOutcomeError(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASED: State = State::Leased { attempts: 2, crashes: 1 };

    #[test]
    fn state_reads_back_from_text() {
        for state in [State::NEW, LEASED, Outcome::dead("404").into()] {
            assert_eq!(state.to_string().parse::<State>().unwrap(), state);
        }
        for text in ["pending", "pending 1", "leased a b", "unknown 1 2"] {
            assert!(text.parse::<State>().is_err(), "{text}");
        }
    }

    #[test]
    fn lease_counts_an_attempt_and_release_takes_it_back() {
        assert_eq!(State::NEW.leased(), State::Leased { attempts: 1, crashes: 0 });
        assert_eq!(State::NEW.leased().released(), State::NEW);
        let failed = State::from(Outcome::failed_at(3, "503"));
        assert_eq!(failed.leased(), State::Leased { attempts: 4, crashes: 0 });
    }

    #[test]
    fn third_crash_in_a_row_is_poisoned() {
        let first = State::NEW.leased().crashed();
        assert_eq!(first, State::Pending { attempts: 1, crashes: 1 });
        let second = first.leased().crashed();
        assert_eq!(second, State::Pending { attempts: 2, crashes: 2 });
        let third = second.leased().crashed();
        assert!(matches!(third, State::Outcome(Outcome::Dead { poisoned: true, .. })), "{third}");
    }

    #[test]
    fn retry_and_revival_never_change_processed_deliveries() {
        let processed = State::from(Outcome::processed(200));
        assert!(!processed.is_retryable() && !processed.is_revivable() && processed.is_final());
        let poisoned = State::from(Outcome::poisoned("crashed"));
        assert!(poisoned.is_retryable() && !poisoned.is_revivable() && poisoned.is_final());
        let dead = State::from(Outcome::dead("404"));
        assert!(dead.is_retryable() && dead.is_revivable() && !dead.is_final());
        for unsettled in [State::NEW, LEASED, Outcome::failed("503").into()] {
            assert!(!unsettled.is_final() && !unsettled.is_revivable(), "{unsettled}");
        }
    }
}
