use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{
    Job,
    limits::Limits,
    queues::{Next, Queues},
};
use crate::delivery::{DeliveryId, ModelName};

/// After how long a delivery is tried again that could not be handed to its handler.
const NOT_HANDED: Duration = Duration::from_secs(1);

/// The deliveries that workers have to handle. Clones share them.
#[derive(Clone)]
pub(crate) struct Schedule(Arc<Inner>);

struct Inner {
    queues: Mutex<Queues>,
    /// Whether there are workers: without, nothing is to pile up here.
    worked: AtomicBool,
    /// Whether what was left at the start is not known yet.
    starting: AtomicBool,
    changed: Notify,
    emptied: Notify,
    /// There is room for what is known to the archive only.
    room: Notify,
    stopped: CancellationToken,
}

impl Schedule {
    pub(crate) fn new(limits: Limits) -> Self {
        Self(Arc::new(Inner {
            queues: Mutex::new(Queues::new(limits)),
            worked: AtomicBool::new(false),
            starting: AtomicBool::new(false),
            changed: Notify::new(),
            emptied: Notify::new(),
            room: Notify::new(),
            stopped: CancellationToken::new(),
        }))
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.0.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on there are workers; `false` if there were before. There is something to do until what was left is
    /// [known](Self::started).
    pub(crate) fn begin(&self, limits: Limits) -> bool {
        if self.0.worked.swap(true, Ordering::Relaxed) {
            return false;
        }
        self.queues().set_limits(limits);
        self.0.starting.store(true, Ordering::Relaxed);
        true
    }

    /// What was left at the start is known.
    pub(crate) fn started(&self) {
        self.0.starting.store(false, Ordering::Relaxed);
        self.0.emptied.notify_waiters();
    }

    pub(crate) fn has_workers(&self) -> bool {
        self.0.worked.load(Ordering::Relaxed)
    }

    /// Has a delivery handled after this time.
    pub(crate) fn push(&self, job: Job, wait: Duration) {
        // What does not fit into the clock's time is never.
        let due = Instant::now().checked_add(wait);
        if let Some(due) = due.filter(|_| self.has_workers()) {
            self.queues().push(job, due);
            self.0.changed.notify_one();
        }
    }

    /// Has a delivery handled that nobody knows of here.
    pub(crate) fn push_unknown(&self, job: Job, wait: Duration) -> bool {
        let unknown = !self.queues().knows(job.id);
        if unknown {
            self.push(job, wait);
        }
        unknown
    }

    /// Has a delivery handled now, unless it is due already: it may wait for an attempt that nobody counts any more.
    pub(crate) fn hasten(&self, job: Job) -> bool {
        let waits = self.queues().due(job.id).is_none_or(|due| due > Instant::now());
        if waits {
            self.push(job, Duration::ZERO);
        }
        waits
    }

    /// Keeps a delivery until it is [woken](Self::wake).
    pub(crate) fn park(&self, job: Job) {
        self.queues().park(job, Instant::now());
    }

    /// Has a delivery handled that is parked, if it is still.
    pub(crate) fn wake(&self, job: Job) {
        self.queues().wake(job, Instant::now());
        self.0.changed.notify_one();
    }

    /// The delivery is settled.
    pub(crate) fn forget(&self, id: DeliveryId) {
        let mut queues = self.queues();
        queues.forget(id);
        self.tell(&queues);
    }

    /// Tells who waits for it that nothing is left here.
    fn tell(&self, queues: &Queues) {
        if queues.wants_more() {
            self.0.room.notify_one();
        } else if queues.len() == 0 {
            self.0.emptied.notify_waiters();
        }
    }

    /// Waits until there is room for what there was none for.
    ///
    /// # Cancel safety
    ///
    /// Nothing changes when the future is dropped.
    pub(crate) async fn has_room(&self) {
        loop {
            let room = self.0.room.notified();
            if self.queues().wants_more() {
                return;
            }
            room.await;
        }
    }

    /// From now on the archive is asked for what there was no room for.
    pub(crate) fn refill(&self) {
        self.queues().refill();
    }

    /// The archive was asked.
    pub(crate) fn refilled(&self) {
        self.tell(&self.queues());
    }

    /// The next that is due, where there are so many models; nothing once all is stopped.
    ///
    /// # Cancel safety
    ///
    /// Nothing is taken when the future is dropped.
    pub(crate) async fn take(&self, models: impl Fn() -> usize) -> Option<Taken> {
        loop {
            let changed = self.0.changed.notified();
            let next = {
                if self.0.stopped.is_cancelled() {
                    return None;
                }
                self.queues().take(Instant::now(), models())
            };
            match next {
                Next::Job(job, number) => {
                    // There may be more for others.
                    self.0.changed.notify_one();
                    return Some(Taken { job, number, schedule: self.clone(), handed: false });
                }
                Next::Wait(None) => changed.await,
                Next::Wait(Some(due)) => drop(timeout_at(due, changed).await),
            }
        }
    }

    /// Hands nothing out any more.
    pub(crate) fn stop(&self) {
        self.0.stopped.cancel();
        self.0.changed.notify_waiters();
        self.0.changed.notify_one();
        self.0.emptied.notify_waiters();
    }

    /// Does this until all is stopped.
    pub(crate) async fn until_stopped(&self, work: impl Future<Output = ()>) {
        self.0.stopped.run_until_cancelled(work).await.unwrap_or_default();
    }

    /// Waits until nothing is left to do, or all is stopped.
    pub(crate) async fn emptied(&self) {
        loop {
            let emptied = self.0.emptied.notified();
            if self.is_idle() {
                return;
            }
            emptied.await;
        }
    }

    /// Whether nothing is left to do, or all is stopped.
    pub(crate) fn is_idle(&self) -> bool {
        let is_empty = |queues: &Queues| queues.len() == 0 && !queues.has_spilled();
        let is_starting = self.0.starting.load(Ordering::Relaxed);
        self.0.stopped.is_cancelled() || (!is_starting && is_empty(&self.queues()))
    }

    pub(crate) fn set_paused(&self, model: &ModelName, paused: bool) {
        self.queues().set_paused(model, paused);
        self.0.changed.notify_one();
    }

    pub(crate) fn is_paused(&self, model: &ModelName) -> bool {
        self.queues().is_paused(model)
    }

    /// How many deliveries wait or are being handled.
    pub(crate) fn len(&self) -> usize {
        self.queues().len()
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schedule").field("deliveries", &self.len()).finish_non_exhaustive()
    }
}

/// A delivery that a worker has taken. It takes up a place until dropped.
#[derive(Debug)]
pub(crate) struct Taken {
    job: Job,
    /// Of its ticket.
    number: u64,
    schedule: Schedule,
    handed: bool,
}

impl Taken {
    pub(crate) fn job(&self) -> &Job {
        &self.job
    }

    /// It could not be handed to its handler, and is to be taken again after this time.
    pub(crate) fn later(self, wait: Duration) {
        self.again(wait);
        self.handed();
    }

    /// Unless somebody else has said since when it is to be handled again, or has settled it.
    fn again(&self, wait: Duration) {
        let counts = self.schedule.queues().counts(self.job.id, self.number);
        if counts {
            self.schedule.push(self.job.clone(), wait);
        }
    }

    /// It was handed to its handler, or settled: who settles it says when it is to be handled again.
    pub(crate) fn handed(mut self) {
        self.handed = true;
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.schedule.queues().done(&self.job);
        if !self.handed {
            self.again(NOT_HANDED);
        }
        self.schedule.0.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_was_said_since_a_worker_took_it_counts_more_than_that_it_was_not_handed_over() {
        let schedule = Schedule::new(Limits { all: 1, each_model: None, waiting: 9 });
        schedule.begin(Limits { all: 1, each_model: None, waiting: 9 });
        let began = Instant::now();
        let job = Job::new(DeliveryId::new(), "/m".parse().unwrap());
        schedule.push(job.clone(), Duration::ZERO);
        let taken = schedule.take(|| 1).await.unwrap();
        schedule.push(job.clone(), Duration::from_hours(1));
        drop(taken);
        let taken = schedule.take(|| 1).await.unwrap();
        assert!(began.elapsed() >= Duration::from_hours(1));
        drop(taken);
        let taken = schedule.take(|| 1).await.unwrap();
        assert!(began.elapsed() < Duration::from_hours(1) + 2 * NOT_HANDED);
        schedule.forget(job.id);
        drop(taken);
        assert_eq!(schedule.len(), 0, "what is settled stays so");
    }
}
