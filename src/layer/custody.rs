use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{runtime::Handle, task::JoinHandle};
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::{
    Terms, Verdict,
    background::{Job, Limits, MOST_WAITING, Schedule, Taken},
    dedup::{Turn, Turns},
    handling::Open,
    judge::{Run, judge},
    metrics,
};
use crate::{
    archive::{Archive, ArchiveError, Work},
    delivery::{Delivery, DeliveryId, Outcome, OutcomeKind},
};

/// How long to wait each time before an outcome that could not be recorded is tried to be recorded again.
const RECORD_AGAIN: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(25)];

/// After how long a delivery is handled again whose outcome could not be recorded.
const NOT_RECORDED: Duration = Duration::from_secs(10);

/// An archive, and the work that is going on with what it holds.
///
/// There should be one for each archive: what keeps a delivery from being handled twice at the same time is in here.
/// Cheap to clone; clones are the same custody.
#[derive(Clone)]
pub struct Custody(Arc<Inner>);

struct Inner {
    archive: Box<dyn Archive>,
    tasks: TaskTracker,
    turns: Turns,
    schedule: Schedule,
    terms: Terms,
    /// Ids of this process are made one after the other: those before this one were there before us.
    since: DeliveryId,
}

impl Custody {
    /// Takes deliveries into the custody of `archive`, which may be an `Arc` that is used elsewhere, too.
    pub fn new(archive: impl Archive) -> Self {
        Self::boxed(Box::new(archive), Terms::default())
    }

    pub(crate) fn boxed(archive: Box<dyn Archive>, terms: Terms) -> Self {
        let schedule = Schedule::new(Limits { all: 0, each_model: None, waiting: MOST_WAITING });
        Self(Arc::new(Inner {
            archive,
            tasks: TaskTracker::new(),
            turns: Turns::new(schedule.clone()),
            schedule,
            terms,
            since: DeliveryId::new(),
        }))
    }

    /// The archive.
    pub fn archive(&self) -> &dyn Archive {
        &*self.0.archive
    }

    /// Waits until every delivery that was begun is answered, archived and settled. New ones may come meanwhile: stop
    /// the server first.
    ///
    /// # Cancel safety
    ///
    /// Nothing changes when the future is dropped.
    pub async fn settled(&self) {
        // A closed tracker takes new work all the same; it only lets us wait.
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    /// How many deliveries are being archived, handled or settled.
    pub fn in_progress(&self) -> usize {
        self.0.tasks.len()
    }

    pub(super) fn turns(&self) -> &Turns {
        &self.0.turns
    }

    /// The turn that a delivery waited for, if it waited for one.
    pub(crate) fn turn_for(&self, taken: Taken) -> Option<(Taken, Option<Turn>)> {
        let Some(thing) = taken.job().wants else { return Some((taken, None)) };
        let turn = self.0.turns.take_now(thing);
        if turn.is_none() {
            self.0.turns.park(thing, taken.job().clone());
            taken.handed();
            return None;
        }
        Some((taken, turn))
    }

    pub(crate) fn schedule(&self) -> &Schedule {
        &self.0.schedule
    }

    pub(crate) fn terms(&self) -> &Terms {
        &self.0.terms
    }

    /// Whether a delivery without an outcome may have been begun by a process that has ended since: it was there before us,
    /// and where senders wait, nothing is recorded before the first run of a handler.
    pub(crate) fn may_have_crashed(&self, id: DeliveryId) -> bool {
        self.0.terms.inline && id.made_at().is_some() && id < self.0.since
    }

    /// Does work that goes on when the client hangs up.
    pub(super) fn spawn<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.0.tasks.spawn(work)
    }

    /// Leaves a delivery to the workers.
    pub(crate) fn take_up(&self, delivery: &Delivery) {
        if !self.0.schedule.has_workers() {
            tracing::error!(
                "the delivery is archived, and nobody handles it: call Inbox::work once the inbox is built"
            );
        }
        let (id, model) = (delivery.id(), delivery.model().clone());
        self.0.schedule.push(Job::new(id, model), Duration::ZERO);
    }

    /// Decides what a run of the handler makes of the delivery, and records it.
    pub(super) fn judge(&self, open: Open, verdict: Verdict) {
        let now = SystemTime::now();
        let age = now.duration_since(open.received_at).unwrap_or_default();
        let run = Run { attempt: open.attempt, age, now, inference: open.inference };
        let (outcome, wait) = judge(verdict, run, &self.0.terms.retries, fastrand::f64());
        self.settle(open, outcome, wait);
    }

    /// Records the outcome without letting the answer wait for it. Nobody else gets the turns until it is durable; then
    /// the delivery is handled again after `wait`, if there is one.
    pub(super) fn settle(&self, open: Open, outcome: Outcome, wait: Option<Duration>) {
        tracing::Span::current().record("outcome", outcome.kind().as_str());
        if open.stays_settled && outcome.kind() != OutcomeKind::Processed {
            tracing::info!(%outcome, "replayed; it was settled before, and stays as it was");
            return;
        }
        log(&outcome, wait);
        metrics::settled(&open.model, outcome.kind(), open.attempt);
        let settled = outcome.is_settled();
        let suspect = matches!(outcome, Outcome::Pending { crashes: 1.., .. });
        let settling = self.0.archive.settle(open.id, outcome.clone());
        let custody = self.clone();
        let work = async move {
            let recorded = custody.record(open.id, outcome, settling).await;
            let job = Job { suspect, wants: open.wants, ..Job::new(open.id, open.model) };
            custody.recorded(job, settled, wait, recorded);
            drop(open.turns);
        };
        match Handle::try_current() {
            Ok(_) => drop(self.spawn(work.in_current_span())),
            // The runtime has ended: the archive has begun to record it, and nobody is left to wait for that.
            Err(_) => drop(work),
        }
    }

    /// Rather than run the handler again for what it has done, an archive that cannot record an outcome is given time.
    async fn record(
        &self,
        id: DeliveryId,
        outcome: Outcome,
        first: Work<()>,
    ) -> Result<(), ArchiveError> {
        let mut recorded = first.await;
        for wait in RECORD_AGAIN {
            match &recorded {
                Ok(()) | Err(ArchiveError::Unknown { .. }) => break,
                Err(error) => {
                    let error = error as &dyn std::error::Error;
                    tracing::warn!(
                        error,
                        ?wait,
                        "an outcome could not be recorded, and will be again"
                    );
                }
            }
            tokio::time::sleep(wait).await;
            recorded = self.0.archive.settle(id, outcome.clone()).await;
        }
        recorded
    }

    fn recorded(
        &self,
        job: Job,
        settled: bool,
        wait: Option<Duration>,
        recorded: Result<(), ArchiveError>,
    ) {
        match recorded {
            Ok(()) if settled => self.0.schedule.forget(job.id),
            Ok(()) => match job.wants {
                Some(thing) => self.0.turns.park(thing, job),
                None => self.0.schedule.push(job, wait.unwrap_or_default()),
            },
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the outcome could not be recorded: the delivery stays as it was, and may be handled again"
                );
                self.0.schedule.push(job, NOT_RECORDED);
            }
        }
    }
}

/// Tells what a person has to look at apart from the rest.
fn log(outcome: &Outcome, wait: Option<Duration>) {
    match outcome {
        Outcome::Processed { status, .. } => tracing::info!(status, "processed"),
        Outcome::Failed { attempts, reason, .. } => {
            let wait = wait.map(tracing::field::debug);
            tracing::warn!(attempts, reason, wait, "failed, and will be tried again");
        }
        Outcome::Dead { reason, .. } => tracing::error!(reason, "dead: it will not be tried again"),
        outcome => tracing::info!(%outcome, "settled"),
    }
}

impl fmt::Debug for Custody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Custody")
            .field("archive", &self.0.archive)
            .field("in_progress", &self.in_progress())
            .finish_non_exhaustive()
    }
}
