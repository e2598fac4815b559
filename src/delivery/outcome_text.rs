//! An outcome as one line of text: its kind, and then its details.

use std::{fmt, str::FromStr};

use super::{Outcome, OutcomeKind};

/// What stands before the reason of a dead one that was put aside.
const PUT_ASIDE: &str = "put aside: ";

/// The last word of a pending one whose handler is at work.
const RUNNING: &str = "running";

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
            Self::Failed { attempts, reason } => write!(f, "{kind} {attempts} {reason}"),
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
            OutcomeKind::Failed => Some(failed(rest)),
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

/// The first archives wrote no number of attempts.
fn failed(details: &str) -> Outcome {
    let counted = |(number, reason): (&str, _)| Some((number.parse().ok()?, reason));
    match details.split_once(' ').and_then(counted) {
        Some((attempts, reason)) => Outcome::failed_at(attempts, reason),
        None => match details.parse() {
            Ok(attempts) => Outcome::failed_at(attempts, ""),
            Err(_) => Outcome::failed(details),
        },
    }
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
    fn a_failure_without_a_number_was_the_first() {
        let outcome: Outcome = "failed the handler answered 500".parse().unwrap();
        assert_eq!(outcome, Outcome::failed_at(1, "the handler answered 500"));
    }

    #[test]
    fn what_was_put_aside_says_so_in_words_that_others_read_as_its_reason() {
        let outcome = Outcome::put_aside("it ended the process");
        assert_eq!(outcome.to_string(), "dead put aside: it ended the process");
    }

    #[test]
    fn other_lines_are_refused() {
        for line in
            ["", "processed", "processed ok", "processed 200 x", "repeat x", "lost 1", "pending x"]
        {
            assert!(line.parse::<Outcome>().is_err(), "{line:?}");
        }
    }
}
