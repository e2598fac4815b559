//! An outcome as one line of text: its kind, then its details.

use std::{
    fmt,
    str::FromStr,
    time::{Duration, SystemTime},
};

use super::{InferenceDigest, Outcome, StateKind};

/// Separates the attempts of a failed outcome from its due time in seconds since 1970.
const DUE: char = '@';

/// Marks a poisoned outcome.
const POISONED: &str = "poisoned";

/// Stands for a detail that is absent.
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

/// A text that is not a state or an outcome.
#[derive(Debug, thiserror::Error)]
#[error(
    "invalid state; expected pending, leased, processed, failed, dead, undecodable or repeat with its details"
)]
pub struct ParseOutcomeError(pub(super) ());

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::{DeliveryId, Digest, InferenceKey};

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
