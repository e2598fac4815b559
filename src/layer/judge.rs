use std::time::{Duration, SystemTime};

use super::{Retries, Verdict};
use crate::delivery::{InferenceDigest, Outcome};

/// A run of the handler, as far as it matters to what becomes of the delivery.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) attempt: u32,
    /// Since the delivery was received.
    pub(super) age: Duration,
    pub(super) now: SystemTime,
    pub(super) inference: Option<InferenceDigest>,
}

/// What a run makes of the delivery, and after how long it is tried again, if it is. `jitter` is a part of one.
pub(super) fn judge(
    verdict: Verdict,
    run: Run,
    retries: &Retries,
    jitter: f64,
) -> (Outcome, Option<Duration>) {
    match verdict {
        Verdict::Processed { status } => {
            (Outcome::Processed { status, inference: run.inference }, None)
        }
        Verdict::Dead { reason } => (Outcome::dead(reason), None),
        Verdict::Failed { reason, asked } => {
            match retries.wait(run.attempt, run.age, asked, jitter) {
                Ok(wait) => {
                    let failed = Outcome::failed_at(run.attempt, reason);
                    // For the next start, which knows nothing of our timers.
                    let due = run.now.checked_add(wait);
                    (due.into_iter().fold(failed, Outcome::not_before), Some(wait))
                }
                Err(given_up) => (Outcome::dead(format_args!("{reason}; {given_up}")), None),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn judged(verdict: Verdict, attempt: u32) -> (Outcome, Option<Duration>) {
        let run = Run { attempt, age: SECOND, now: SystemTime::UNIX_EPOCH, inference: None };
        judge(verdict, run, &Retries::default().attempts(2), 1.0)
    }

    #[test]
    fn what_failed_is_tried_again_until_it_was_tried_often_enough() {
        let failed = || Verdict::failed(&"500");
        let later = Outcome::failed_at(1, "500").not_before(SystemTime::UNIX_EPOCH + SECOND);
        assert_eq!(judged(failed(), 1), (later, Some(SECOND)));
        let dead = Outcome::dead("500; tried 2 times");
        assert_eq!(judged(failed(), 2), (dead, None));
    }

    #[test]
    fn what_was_taken_or_never_will_be_is_not_tried_again() {
        let processed = Verdict::Processed { status: 201 };
        assert_eq!(judged(processed, 9), (Outcome::processed(201), None));
        let dead = Verdict::Dead { reason: "404".to_owned() };
        assert_eq!(judged(dead, 1), (Outcome::dead("404"), None));
    }
}
