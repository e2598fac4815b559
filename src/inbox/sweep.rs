use std::time::{Duration, SystemTime};

use super::backlog::Backlog;
use crate::{
    archive::{ArchiveError, Line, Query},
    delivery::Outcome,
    layer::{Custody, Job},
};

/// How often the archive is asked for deliveries that are not settled, and that nobody here knows of: other processes
/// may have asked for them to be handled.
const EVERY: Duration = Duration::from_secs(10);

/// How long one waits that the process may have ended because of; twice that after the second time.
const SUSPECT: Duration = Duration::from_secs(1);

/// What is younger may be on its way: its sender still waits.
const YOUNG: Duration = Duration::from_mins(1);

/// What somebody wants to have handled again, from the first attempt on: another process may have asked, and here it
/// may be known as one that waits for its next attempt.
const RETRIED: Outcome = Outcome::Pending { attempts: 0, crashes: 0, running: false };

/// Takes up what is not settled: all of it now, and from then on what nobody takes care of.
pub(super) async fn sweep(custody: &Custody) {
    let mut backlog = Backlog::default();
    let found = take_up(custody, &mut backlog, |line| is_wanted(custody, line)).await;
    custody.schedule().started();
    tracing::info!(deliveries = found, "taken up what was not settled when the inbox started");
    loop {
        backlog.measure_the_rest(custody).await.unwrap_or_else(|error| report(&error));
        drop(tokio::time::timeout(EVERY, custody.schedule().has_room()).await);
        let found = take_up(custody, &mut backlog, |line| is_wanted(custody, line)).await;
        if found > 0 {
            tracing::info!(deliveries = found, "taken up what was not settled");
        }
    }
}

/// Whether it is for workers. While senders wait for answers, those that were received since the start are theirs: also at
/// the start, when the first may be here already.
fn is_wanted(custody: &Custody, line: &Line) -> bool {
    let inline = custody.terms().inline;
    !inline || custody.may_have_crashed(line.id) || is_left(line, SystemTime::now())
}

/// Whether no sender may wait for it: it was not received just now, was given back, or has failed. What comes from the
/// future was received before the clock was set back, and nobody knows how long before.
fn is_left(line: &Line, now: SystemTime) -> bool {
    let is_young = now.duration_since(line.received_at).is_ok_and(|age| age <= YOUNG);
    let is_given_back = matches!(
        line.outcome,
        Some(Outcome::Pending { running: false, .. } | Outcome::Failed { .. })
    );
    !is_young || is_given_back
}

/// Of those that are not settled takes up what is wanted. How many of them nobody knew of.
async fn take_up(
    custody: &Custody,
    backlog: &mut Backlog,
    wanted: impl Fn(&Line) -> bool,
) -> usize {
    let mut lines = custody.archive().ledger(Query::all().unsettled());
    let mut found = 0;
    backlog.restart();
    custody.schedule().refill();
    while let Some(line) = lines.next().await {
        match line {
            Ok(line) => {
                backlog.add(&line);
                found += usize::from(wanted(&line) && push(custody, line));
            }
            Err(error) => report(&error),
        }
    }
    backlog.measure();
    custody.schedule().refilled();
    found
}

fn push(custody: &Custody, line: Line) -> bool {
    let Line { id, model, outcome, .. } = line;
    if matches!(outcome, Some(RETRIED)) {
        return custody.schedule().hasten(Job::new(id, model));
    }
    let crashes = outcome.as_ref().map_or(0, crashes);
    let wait = match outcome {
        Some(Outcome::Failed { due: Some(due), .. }) => {
            custody.terms().retries.wait_until(due, SystemTime::now())
        }
        Some(Outcome::Failed { attempts, .. }) => {
            custody.terms().retries.wait_after_start(attempts, fastrand::f64())
        }
        // If it takes us down again, others had their turn before; and a process that is killed again and again for
        // other reasons does not make it look as if it did.
        _ if crashes > 0 => SUSPECT.saturating_mul(2_u32.saturating_pow(crashes - 1)),
        _ => Duration::ZERO,
    };
    let left = custody.may_have_crashed(id);
    let job = Job { suspect: crashes > 0, left, ..Job::new(id, model) };
    custody.schedule().push_unknown(job, wait)
}

/// How often in a row the process has ended while it was handled, as far as can be told.
fn crashes(outcome: &Outcome) -> u32 {
    match outcome {
        Outcome::Pending { crashes, running, .. } => crashes.saturating_add(u32::from(*running)),
        _ => 0,
    }
}

fn report(error: &ArchiveError) {
    let error = error as &dyn std::error::Error;
    tracing::error!(error, "cannot look after the archive");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        archive::MemoryArchive,
        delivery::{DeliveryId, ModelName},
        layer::Terms,
    };

    #[test]
    fn what_senders_post_is_theirs_from_the_start_on_and_what_was_there_before_is_for_workers() {
        let line = |id| Line::new(id, "/m".parse().unwrap(), SystemTime::now(), None);
        let before = DeliveryId::new();
        for (inline, posted_is_wanted) in [(true, false), (false, true)] {
            let terms = Terms { inline, ..Terms::default() };
            let custody = Custody::boxed(Box::new(MemoryArchive::new()), terms);
            assert!(is_wanted(&custody, &line(before)));
            assert_eq!(is_wanted(&custody, &line(DeliveryId::new())), posted_is_wanted);
        }
    }

    #[test]
    fn only_what_was_received_just_now_is_somebodys() {
        let now = SystemTime::UNIX_EPOCH + 1000 * YOUNG;
        let model: ModelName = "/m".parse().unwrap();
        let given_back = || Some(Outcome::Pending { attempts: 1, crashes: 0, running: false });
        for (received_at, outcome, left) in [
            (now, None, false),
            (now - YOUNG, None, false),
            (now - 2 * YOUNG, None, true),
            (now + YOUNG, None, true),
            (now, given_back(), true),
            (now, Some(Outcome::failed("x")), true),
        ] {
            let line = Line::new(DeliveryId::new(), model.clone(), received_at, outcome);
            assert_eq!(is_left(&line, now), left, "{line:?}");
        }
    }
}
