//! An outcome as one line of text: its kind, and then its details.

use std::{
    fmt,
    str::FromStr,
    time::{Duration, SystemTime},
};

use super::{Outcome, OutcomeKind};

/// What stands before the reason of a dead one that was put aside.
const PUT_ASIDE: &str = "put aside: ";

/// The last word of a pending one whose handler is at work.
const RUNNING: &str = "running";

/// Between the number of attempts of a failed one and the time before which it is not tried again, in seconds since 1970.
const DUE: char = '@';

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind();
        match self {
            Self::Pending { attempts, crashes, running } => {
                let running = if *running { format_args!(" {RUNNING}") } else { format_args!("") };
                write!(f, "{kind} {attempts} {crashes}{running}")
            }
            Self::Processed { status, inference: None } => write!(f, "{kind} {status}"),
            Self::Processed { status, inference: Some(inference) } => {
                write!(f, "{kind} {status} {inference}")
            }
            Self::Failed { attempts, reason, due } => match due.and_then(seconds) {
                Some(due) => write!(f, "{kind} {attempts}{DUE}{due} {reason}"),
                None => write!(f, "{kind} {attempts} {reason}"),
            },
            Self::Dead { reason, put_aside: true } => write!(f, "{kind} {PUT_ASIDE}{reason}"),
            Self::Dead { reason, .. } | Self::Undecodable { reason } => {
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
            OutcomeKind::Pending => pending(rest),
            OutcomeKind::Processed => processed(rest),
            OutcomeKind::Failed => failed(rest),
            OutcomeKind::Dead => Some(dead(rest)),
            OutcomeKind::Undecodable => Some(Self::undecodable(rest)),
            OutcomeKind::Repeat => rest.parse().ok().map(|of| Self::Repeat { of }),
        }
        .ok_or(ParseOutcomeError(()))
    }
}

fn pending(details: &str) -> Option<Outcome> {
    let mut words = details.split(' ');
    let (attempts, crashes) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let running = match words.next() {
        None => false,
        Some(word) => word == RUNNING,
    };
    Some(Outcome::Pending { attempts, crashes, running })
}

fn processed(details: &str) -> Option<Outcome> {
    let (status, inference) = match details.split_once(' ') {
        Some((status, inference)) => (status, Some(inference.parse().ok()?)),
        None => (details, None),
    };
    Some(Outcome::Processed { status: status.parse().ok()?, inference })
}

fn failed(details: &str) -> Option<Outcome> {
    let (first, reason) = details.split_once(' ').unwrap_or((details, ""));
    let (attempts, due) = counted(first)?;
    let failed = Outcome::failed_at(attempts, reason);
    Some(due.into_iter().fold(failed, Outcome::not_before))
}

/// A number of attempts, and a time if there is one.
fn counted(word: &str) -> Option<(u32, Option<SystemTime>)> {
    let Some((attempts, due)) = word.split_once(DUE) else {
        return Some((word.parse().ok()?, None));
    };
    let due = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(due.parse().ok()?))?;
    Some((attempts.parse().ok()?, Some(due)))
}

fn seconds(time: SystemTime) -> Option<u64> {
    Some(time.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs())
}

fn dead(details: &str) -> Outcome {
    match details.strip_prefix(PUT_ASIDE) {
        Some(reason) => Outcome::put_aside(reason),
        None => Outcome::dead(details),
    }
}

/// A text that is not an outcome.
#[derive(Debug, thiserror::Error)]
#[error(
    "this is not an outcome: it begins with pending, processed, failed, dead, undecodable or repeat"
)]
pub struct ParseOutcomeError(pub(super) ());

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::{DeliveryId, Digest, InferenceDigest};

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn what_is_tried_again_later_says_when() {
        let late = Outcome::failed_at(2, "503").not_before(at(60) - Duration::from_millis(1));
        assert_eq!(late.to_string(), "failed 2@60 503");
        for strange in ["2@", "2@x", "@60", "2@18446744073709551615"] {
            assert!(format!("failed {strange} 503").parse::<Outcome>().is_err(), "{strange}");
        }
    }

    #[test]
    fn every_outcome_reads_back() {
        let inference = InferenceDigest::of(&"/m".parse().unwrap(), "a key", Digest::of(b"a body"));
        for outcome in [
            Outcome::Pending { attempts: 2, crashes: 1, running: true },
            Outcome::Pending { attempts: 2, crashes: 1, running: false },
            Outcome::processed(204),
            Outcome::Processed { status: 204, inference: Some(inference) },
            Outcome::failed("the handler answered 500"),
            Outcome::failed_at(7, "500 was answered"),
            Outcome::failed_at(7, "500 was answered").not_before(at(1_764_090_000)),
            Outcome::failed("").not_before(at(1_764_090_000)),
            Outcome::dead("the handler answered 404"),
            Outcome::put_aside("the process ended 3 times"),
            Outcome::put_aside(""),
            Outcome::undecodable("$.inference.id is missing"),
            Outcome::failed(""),
            Outcome::Repeat { of: DeliveryId::new() },
        ] {
            assert_eq!(outcome.to_string().parse::<Outcome>().unwrap(), outcome);
        }
    }

    #[test]
    fn what_was_put_aside_says_so_in_words_that_others_read_as_its_reason() {
        let outcome = Outcome::put_aside("it ended the process");
        assert_eq!(outcome.to_string(), "dead put aside: it ended the process");
    }

    #[test]
    fn other_lines_are_refused() {
        for line in [
            "",
            "processed",
            "processed ok",
            "processed 200 x",
            "repeat x",
            "lost 1",
            "pending x",
            "failed x",
        ] {
            assert!(line.parse::<Outcome>().is_err(), "{line:?}");
        }
    }
}
