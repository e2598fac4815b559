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
    limits::Limits,
    queues::{Job, Next, Queues},
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
    changed: Notify,
    emptied: Notify,
    stopped: CancellationToken,
}

impl Schedule {
    pub(crate) fn new(limits: Limits) -> Self {
        Self(Arc::new(Inner {
            queues: Mutex::new(Queues::new(limits)),
            worked: AtomicBool::new(false),
            changed: Notify::new(),
            emptied: Notify::new(),
            stopped: CancellationToken::new(),
        }))
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.0.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on there are workers; `false` if there were before.
    pub(crate) fn begin(&self, limits: Limits) -> bool {
        self.queues().set_limits(limits);
        !self.0.worked.swap(true, Ordering::Relaxed)
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

    /// The delivery is settled.
    pub(crate) fn forget(&self, id: DeliveryId) {
        let mut queues = self.queues();
        queues.forget(id);
        if queues.len() == 0 {
            self.0.emptied.notify_waiters();
        }
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
                Next::Job(job) => {
                    // There may be more for others.
                    self.0.changed.notify_one();
                    return Some(Taken { job, schedule: self.clone(), handed: false });
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
        self.0.stopped.is_cancelled() || self.len() == 0
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
    schedule: Schedule,
    handed: bool,
}

impl Taken {
    pub(crate) fn job(&self) -> &Job {
        &self.job
    }

    /// It could not be handed to its handler, and is to be taken again after this time.
    pub(crate) fn later(self, wait: Duration) {
        self.schedule.push(self.job.clone(), wait);
        self.handed();
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
            self.schedule.push(self.job.clone(), NOT_HANDED);
        }
        self.schedule.0.changed.notify_one();
    }
}
