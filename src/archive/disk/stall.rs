//! Reports that the disk does not answer. The writer is blocked in a call then, so another thread watches it.

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

use super::health::Condition;
use crate::supervise::catch_and_report;

/// A write that takes longer than this is reported.
const LONG: Duration = Duration::from_secs(1);

/// How often it is reported again while it goes on.
const AGAIN: Duration = Duration::from_secs(10);

/// How often the thread looks.
const INTERVAL: Duration = Duration::from_millis(500);

/// Logs a warning while a write of the writer takes long.
#[derive(Debug)]
pub(super) struct StallWatch {
    watched: Arc<Watched>,
    thread: Thread,
}

#[derive(Debug)]
struct Watched {
    dir: PathBuf,
    /// Knows since when a write goes on.
    condition: Arc<Condition>,
    /// When that write was reported last.
    reported: Mutex<Option<Instant>>,
    is_stopped: AtomicBool,
}

/// How long a write has taken that began at `began`, if that is to be reported now.
fn to_report(began: Instant, reported: Option<Instant>, now: Instant) -> Option<Duration> {
    let took = now.saturating_duration_since(began);
    let is_due = |reported| now.saturating_duration_since(reported) >= AGAIN;
    (took >= LONG && reported.is_none_or(is_due)).then_some(took)
}

/// The write goes on as long as this lives.
#[derive(Debug)]
pub(super) struct Writing(Arc<Watched>);

impl StallWatch {
    /// Starts the thread. It ends when this is dropped; nobody waits for it.
    ///
    /// # Errors
    ///
    /// If the thread cannot be started.
    pub(super) fn start(dir: PathBuf, condition: Arc<Condition>) -> io::Result<Self> {
        let (reported, is_stopped) = (Mutex::default(), AtomicBool::new(false));
        let watched = Arc::new(Watched { dir, condition, reported, is_stopped });
        let watching = Arc::clone(&watched);
        let builder = thread::Builder::new().name("inbox-stall".to_owned());
        // It logs where the one logs who opens the archive.
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        let watch = move || tracing::dispatcher::with_default(&dispatch, || watching.watch());
        let thread = builder.spawn(watch)?.thread().clone();
        Ok(Self { watched, thread })
    }

    /// A write begins.
    pub(super) fn begin(&self) -> Writing {
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
    use super::{super::tests::logged, *};

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
