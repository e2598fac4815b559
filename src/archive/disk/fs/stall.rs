//! Reports a disk that does not respond. The writer is then blocked in a system call, so another thread watches it.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, Thread},
    time::{Duration, Instant},
};

use crate::{archive::disk::health::Condition, supervise::catch_and_report};

/// A write that takes longer than this is reported.
const LONG: Duration = Duration::from_secs(1);

/// The interval between two reports of the same write.
const AGAIN: Duration = Duration::from_secs(10);

/// The polling interval of the thread.
const INTERVAL: Duration = Duration::from_millis(500);

/// Logs a warning while a write takes too long.
#[derive(Debug)]
pub(in crate::archive::disk) struct StallWatch {
    watched: Arc<Watched>,
    thread: Thread,
}

#[derive(Debug)]
struct Watched {
    dir: PathBuf,
    /// Stores when the current write started.
    condition: Arc<Condition>,
    /// When that write was last reported.
    reported: Mutex<Option<Instant>>,
    is_stopped: AtomicBool,
}

/// Returns how long the write that began at `began` has taken, if it must be reported now.
fn to_report(began: Instant, reported: Option<Instant>, now: Instant) -> Option<Duration> {
    let took = now.saturating_duration_since(began);
    let is_due = |reported| now.saturating_duration_since(reported) >= AGAIN;
    (took >= LONG && reported.is_none_or(is_due)).then_some(took)
}

/// A guard for a running write: the write ends when it is dropped.
#[derive(Debug)]
pub(in crate::archive::disk) struct Writing(Arc<Watched>);

impl StallWatch {
    /// Starts the thread. It ends when the [`StallWatch`] is dropped, and is not joined.
    ///
    /// # Errors
    ///
    /// If the thread cannot be started.
    pub(in crate::archive::disk) fn start(
        dir: PathBuf,
        condition: Arc<Condition>,
    ) -> io::Result<Self> {
        let (reported, is_stopped) = (Mutex::default(), AtomicBool::new(false));
        let watched = Arc::new(Watched { dir, condition, reported, is_stopped });
        let watching = Arc::clone(&watched);
        let builder = thread::Builder::new().name("inbox-stall".to_owned());
        // The thread logs to the same subscriber as the caller that opens the archive.
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        let watch = move || tracing::dispatcher::with_default(&dispatch, || watching.watch());
        let thread = builder.spawn(watch)?.thread().clone();
        Ok(Self { watched, thread })
    }

    /// Marks the start of a write.
    pub(in crate::archive::disk) fn begin(&self) -> Writing {
        self.watched.condition.set_writing_since(Some(Instant::now()));
        Writing(Arc::clone(&self.watched))
    }
}

impl Drop for StallWatch {
    fn drop(&mut self) {
        self.watched.is_stopped.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        let mut reported = self.0.reported();
        let began = self.0.condition.writing_since();
        self.0.condition.set_writing_since(None);
        if let (Some(began), Some(_)) = (began, reported.take()) {
            let seconds = began.elapsed().as_secs();
            tracing::warn!(path = %self.0.dir.display(), seconds, "the disk answers again");
        }
    }
}

impl Watched {
    fn watch(&self) {
        while !self.is_stopped.load(Ordering::Acquire) {
            thread::park_timeout(INTERVAL);
            catch_and_report("archive-stall", || self.look(Instant::now()));
        }
    }

    fn look(&self, now: Instant) {
        let mut reported = self.reported();
        let Some(began) = self.condition.writing_since() else { return };
        if let Some(took) = to_report(began, *reported, now) {
            *reported = Some(now);
            tracing::warn!(
                path = %self.dir.display(),
                seconds = took.as_secs(),
                "the disk does not answer a write or a sync: deliveries wait, and are refused with 503 after a while"
            );
        }
    }

    fn reported(&self) -> MutexGuard<'_, Option<Instant>> {
        self.reported.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::disk::tests::logged;

    #[test]
    fn write_that_takes_long_is_logged_after_a_second_and_then_every_ten_seconds() {
        let watch = StallWatch::start(PathBuf::from("inbox"), Arc::default()).unwrap();
        let began = Instant::now();
        let look = |after: Duration| logged(|| watch.watched.look(began + after));
        assert_eq!(look(2 * LONG), "", "nothing is written");
        let writing = watch.begin();
        assert_eq!(look(LONG / 2), "");
        let text = look(2 * LONG);
        assert!(text.contains("WARN") && text.contains("does not answer"), "{text}");
        assert_eq!(look(AGAIN), "");
        assert!(look(2 * LONG + AGAIN).contains("does not answer"));
        let text = logged(|| drop(writing));
        assert!(text.contains("answers again"), "{text}");
        assert_eq!(logged(|| drop(watch.begin())), "", "a write that was not reported");
    }
}
