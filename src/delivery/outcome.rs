//! An outcome as one line of text: its kind, then its details.

use std::{
    error::Error,
    fmt,
    iter::successors,
    str::FromStr,
    time::{Duration, SystemTime},
};

use super::{DeliveryId, InferenceDigest, StateKind};

/// The longest stored reason, in bytes.
pub(crate) const MAX_REASON: usize = 512;

/// The result of processing a delivery.
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
    /// The handler accepted the delivery. It does not run again.
    #[non_exhaustive]
    Processed {
        /// The status that the handler returned. A repeat is answered with it.
        status: u16,
        /// The inference that the delivery carried.
        inference: Option<InferenceDigest>,
    },
    /// The attempt failed and will be retried.
    #[non_exhaustive]
    Failed {
        /// How often processing was started.
        attempts: u32,
        /// Why it failed. One line of at most 512 bytes.
        reason: String,
        /// The earliest time of the next attempt, in whole seconds. None: as soon as possible.
        due: Option<SystemTime>,
        /// The inference that the delivery carried, if it was decoded.
        inference: Option<InferenceDigest>,
    },
    /// The delivery is not retried unless its sender repeats it or somebody calls `retry`.
    #[non_exhaustive]
    Dead {
        /// Why it is dead. One line of at most 512 bytes.
        reason: String,
        /// True if the process crashed too often during processing. A repeat by the sender does not run it again.
        poisoned: bool,
        /// The inference that the delivery carried, if it was decoded.
        inference: Option<InferenceDigest>,
    },
    /// The body could not be decoded to the model's type.
    #[non_exhaustive]
    Undecodable {
        /// The JSON path and the reason, without values of the body. One line of at most 512 bytes.
        reason: String,
    },
    /// Another delivery with the same inference in the same bytes was processed before.
    #[non_exhaustive]
    Repeat {
        /// The delivery that was processed.
        of: DeliveryId,
    },
}

impl Outcome {
    /// The outcome without its details.
    pub fn kind(&self) -> StateKind {
        match self {
            Self::Processed { .. } => StateKind::Processed,
            Self::Failed { .. } => StateKind::Failed,
            Self::Dead { .. } => StateKind::Dead,
            Self::Undecodable { .. } => StateKind::Undecodable,
            Self::Repeat { .. } => StateKind::Repeat,
        }
    }

    /// Returns true unless the delivery failed and will be retried.
    pub fn is_settled(&self) -> bool {
        self.kind().is_settled()
    }

    /// The inference that the delivery carried, if it was decoded.
    pub fn inference(&self) -> Option<InferenceDigest> {
        match self {
            Self::Processed { inference, .. }
            | Self::Failed { inference, .. }
            | Self::Dead { inference, .. } => *inference,
            Self::Undecodable { .. } | Self::Repeat { .. } => None,
        }
    }

    /// The reason of a failure.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Failed { reason, .. }
            | Self::Dead { reason, .. }
            | Self::Undecodable { reason } => Some(reason),
            Self::Processed { .. } | Self::Repeat { .. } => None,
        }
    }

    /// Processed, with the status that the handler returned.
    pub fn processed(status: u16) -> Self {
        Self::Processed { status, inference: None }
    }

    /// Failed at the first attempt. The reason becomes one line of at most 512 bytes with control characters escaped.
    pub fn failed(reason: impl fmt::Display) -> Self {
        Self::failed_at(1, reason)
    }

    /// Failed after `attempts` attempts. The reason becomes one line of at most 512 bytes with control characters
    /// escaped.
    pub fn failed_at(attempts: u32, reason: impl fmt::Display) -> Self {
        Self::Failed { attempts, reason: one_line(&reason), due: None, inference: None }
    }

    /// Sets the earliest time of the next attempt, rounded up to whole seconds. Changes only a failed outcome.
    #[must_use]
    pub fn due_at(mut self, time: SystemTime) -> Self {
        if let Self::Failed { due, .. } = &mut self {
            *due = whole_second(time);
        }
        self
    }

    /// Sets the inference of a processed, failed or dead outcome.
    #[must_use]
    pub fn with_inference(mut self, digest: Option<InferenceDigest>) -> Self {
        if let Self::Processed { inference, .. }
        | Self::Failed { inference, .. }
        | Self::Dead { inference, .. } = &mut self
        {
            *inference = digest;
        }
        self
    }

    /// Dead. The reason becomes one line of at most 512 bytes with control characters escaped.
    pub fn dead(reason: impl fmt::Display) -> Self {
        Self::Dead { reason: one_line(&reason), poisoned: false, inference: None }
    }

    /// Dead and poisoned. The reason becomes one line of at most 512 bytes with control characters escaped.
    pub fn poisoned(reason: impl fmt::Display) -> Self {
        Self::Dead { reason: one_line(&reason), poisoned: true, inference: None }
    }

    /// Undecodable. The reason becomes one line of at most 512 bytes with control characters escaped.
    pub fn undecodable(reason: impl fmt::Display) -> Self {
        Self::Undecodable { reason: one_line(&reason) }
    }

    /// A repeat of a delivery that was processed.
    pub fn repeat(of: DeliveryId) -> Self {
        Self::Repeat { of }
    }
}

/// The first whole second that is not before `time`; None for a time before 1970.
fn whole_second(time: SystemTime) -> Option<SystemTime> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let seconds = since.as_secs().checked_add(u64::from(since.subsec_nanos() > 0))?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// The message of an error and of its causes, for a reason.
pub(crate) fn with_causes(error: &(dyn Error + 'static)) -> String {
    let causes = successors(Some(error), |error| (*error).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Escapes control characters and cuts the text to [`MAX_REASON`] bytes.
pub(crate) fn one_line(reason: &impl fmt::Display) -> String {
    let mut line = String::new();
    for c in reason.to_string().trim().chars() {
        if line.len() >= MAX_REASON {
            break;
        }
        if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line.truncate(prefix(&line, MAX_REASON).len());
    line
}

/// Returns the longest prefix of `text` with at most `max` bytes.
pub(crate) fn prefix(text: &str, max: usize) -> &str {
    let end = (0..=max.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    end.and_then(|end| text.get(..end)).unwrap_or_default()
}

/// Separates the attempts of a failed outcome from its due time in seconds since 1970.
const DUE: char = '@';

/// Marks a poisoned outcome.
const POISONED: &str = "poisoned";

/// Marks an absent detail.
const NONE: &str = "-";

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inference = |inference: &Option<InferenceDigest>| {
            inference.map_or_else(|| NONE.to_owned(), |inference| inference.to_string())
        };
        write!(f, "{}", self.kind())?;
        match self {
            Self::Processed { status, inference: None } => write!(f, " {status}"),
            Self::Processed { status, inference: Some(digest) } => write!(f, " {status} {digest}"),
            Self::Failed { attempts, reason, due, inference: digest } => {
                write!(f, " {attempts}")?;
                if let Some(due) = due.and_then(seconds) {
                    write!(f, "{DUE}{due}")?;
                }
                write!(f, " {} {reason}", inference(digest))
            }
            Self::Dead { reason, poisoned, inference: digest } => {
                let poisoned = if *poisoned { POISONED } else { NONE };
                write!(f, " {poisoned} {} {reason}", inference(digest))
            }
            Self::Undecodable { reason } => write!(f, " {reason}"),
            Self::Repeat { of } => write!(f, " {of}"),
        }
    }
}

impl FromStr for Outcome {
    type Err = ParseOutcomeError;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
        match kind.parse()? {
            StateKind::Pending | StateKind::Leased => None,
            StateKind::Processed => processed(rest),
            StateKind::Failed => failed(rest),
            StateKind::Dead => dead(rest),
            StateKind::Undecodable => Some(Self::undecodable(rest)),
            StateKind::Repeat => rest.parse().ok().map(|of| Self::Repeat { of }),
        }
        .ok_or(ParseOutcomeError(()))
    }
}

fn processed(details: &str) -> Option<Outcome> {
    let (status, inference) = match details.split_once(' ') {
        Some((status, inference)) => (status, Some(inference.parse().ok()?)),
        None => (details, None),
    };
    Some(Outcome::processed(status.parse().ok()?).with_inference(inference))
}

fn failed(details: &str) -> Option<Outcome> {
    let (counted, rest) = details.split_once(' ')?;
    let (inference, reason) = inference_and_reason(rest)?;
    let (attempts, due) = match counted.split_once(DUE) {
        Some((attempts, due)) => (attempts, Some(Duration::from_secs(due.parse().ok()?))),
        None => (counted, None),
    };
    let failed = Outcome::failed_at(attempts.parse().ok()?, reason).with_inference(inference);
    Some(match due {
        Some(due) => failed.due_at(SystemTime::UNIX_EPOCH.checked_add(due)?),
        None => failed,
    })
}

fn dead(details: &str) -> Option<Outcome> {
    let (poisoned, rest) = details.split_once(' ')?;
    let (inference, reason) = inference_and_reason(rest)?;
    let dead = match poisoned {
        POISONED => Outcome::poisoned(reason),
        NONE => Outcome::dead(reason),
        _ => return None,
    };
    Some(dead.with_inference(inference))
}

fn inference_and_reason(text: &str) -> Option<(Option<InferenceDigest>, &str)> {
    let (inference, reason) = text.split_once(' ').unwrap_or((text, ""));
    let inference = if inference == NONE { None } else { Some(inference.parse().ok()?) };
    Some((inference, reason))
}

fn seconds(time: SystemTime) -> Option<u64> {
    Some(time.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs())
}

/// The error of parsing a state or an outcome.
#[derive(Debug, thiserror::Error)]
#[error(
    "invalid state; expected pending, leased, processed, failed, dead, undecodable or repeat with its details"
)]
pub struct ParseOutcomeError(pub(super) ());

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::{DeliveryId, Digest, InferenceKey};

    #[test]
    fn reason_is_one_line_with_escaped_control_characters() {
        let reason = format!("a\r\nb\u{1b}[31m{}", "é".repeat(512));
        let Outcome::Failed { reason, .. } = Outcome::failed(reason) else {
            panic!("not failed");
        };
        assert!(reason.starts_with(r"a\r\nb\u{1b}[31mé") && reason.len() <= 512, "{reason}");
    }

    #[test]
    fn failed_outcome_is_not_settled() {
        assert!(!Outcome::failed("x").is_settled());
        assert!(Outcome::processed(200).is_settled() && Outcome::dead("x").is_settled());
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn due_time_is_rounded_up_to_whole_seconds() {
        let late = Outcome::failed_at(2, "503").due_at(at(60) - Duration::from_millis(1));
        assert_eq!(late.to_string(), "failed 2@60 - 503");
        for invalid in ["2@", "2@x", "@60", "2@18446744073709551615", "x"] {
            assert!(format!("failed {invalid} - 503").parse::<Outcome>().is_err(), "{invalid}");
        }
    }

    #[test]
    fn outcome_reads_back_from_text() {
        let model = "/m".parse().unwrap();
        let inference =
            Some(InferenceDigest::of(&model, &InferenceKey::new("key"), Digest::of(b"a body")));
        for outcome in [
            Outcome::processed(204),
            Outcome::processed(204).with_inference(inference),
            Outcome::failed("the handler returned 500"),
            Outcome::failed_at(7, "500").due_at(at(1_764_090_000)).with_inference(inference),
            Outcome::failed(""),
            Outcome::dead("the handler returned 404"),
            Outcome::dead("404").with_inference(inference),
            Outcome::dead(""),
            Outcome::dead("poisoned - order 42 was closed"),
            Outcome::poisoned("the process crashed 3 times"),
            Outcome::poisoned("").with_inference(inference),
            Outcome::poisoned(""),
            Outcome::undecodable("$.inference.id is missing"),
            Outcome::repeat(DeliveryId::new()),
        ] {
            assert_eq!(outcome.to_string().parse::<Outcome>().unwrap(), outcome, "{outcome}");
        }
    }

    #[test]
    fn other_text_is_an_error() {
        for text in [
            "",
            "unknown",
            "processed",
            "processed x",
            "repeat",
            "pending 0 0",
            "dead x - y",
            "failed 1",
        ] {
            assert!(text.parse::<Outcome>().is_err(), "{text}");
        }
    }
}
