//! The state of a graceful shutdown, and its effect on running handlers and unrecorded outcomes.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// The maximum duration of the last phase of a shutdown, in which running handlers are stopped and their deliveries are
/// requeued.
const LONGEST_LAST_WRITES: Duration = Duration::from_secs(2);

/// The backoff for recording an outcome after a failure of the archive. The handler is not called again.
const RECORD_AGAIN: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(25)];

/// The same during a shutdown, up to this number of failures.
const RECORD_AGAIN_AT_SHUTDOWN: Duration = Duration::from_secs(1);
const MOST_FAILURES_AT_SHUTDOWN: usize = 60;

/// Whether the process is shutting down. Clones share the state.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shutdown {
    started: CancellationToken,
    handlers_stopped: CancellationToken,
}

impl Shutdown {
    /// Starts the shutdown: nothing more is claimed, and pending backoffs for recording outcomes end immediately.
    pub(crate) fn start(&self) {
        self.started.cancel();
    }

    pub(crate) fn has_started(&self) -> bool {
        self.started.is_cancelled()
    }

    /// Completes when the shutdown starts.
    pub(crate) fn started(&self) -> impl Future<Output = ()> + Send + use<> {
        self.started.clone().cancelled_owned()
    }

    /// Runs work until the shutdown starts. Returns `None` if the work did not complete before.
    pub(crate) async fn until_started<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.started.run_until_cancelled(work).await
    }

    /// Stops running handlers, prevents new ones, and ends the retries of recording outcomes.
    pub(crate) fn stop_handlers(&self) {
        self.handlers_stopped.cancel();
    }

    /// Runs work until handlers are stopped. Returns `None` if the work did not complete before.
    pub(crate) async fn until_handlers_stop<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.handlers_stopped.run_until_cancelled(work).await
    }

    /// Waits before the next attempt to record an outcome, after `failures` failures. The start of a shutdown ends the
    /// wait. Returns `false` if there is no further attempt.
    pub(super) async fn wait_to_record_again(&self, failures: usize) -> bool {
        let Some(wait) = self.wait(failures) else { return false };
        let sleep = tokio::time::sleep(wait);
        if self.has_started() {
            sleep.await;
        } else {
            self.until_started(sleep).await.unwrap_or_default();
        }
        true
    }

    fn wait(&self, failures: usize) -> Option<Duration> {
        if self.handlers_stopped.is_cancelled() {
            return None;
        }
        if self.has_started() {
            let again = failures <= MOST_FAILURES_AT_SHUTDOWN;
            return again.then_some(RECORD_AGAIN_AT_SHUTDOWN);
        }
        RECORD_AGAIN.get(failures.saturating_sub(1)).copied()
    }
}

/// Returns the part of the shutdown timeout that is reserved for the last writes: a tenth, at most 2 s.
pub(crate) fn last_writes(timeout: Duration) -> Duration {
    LONGEST_LAST_WRITES.min(timeout / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcome_is_recorded_again_three_times_or_each_second_until_the_end_of_a_shutdown() {
        let shutdown = Shutdown::default();
        let waits = |shutdown: &Shutdown| [1, 2, 3, 4].map(|failures| shutdown.wait(failures));
        let seconds = |n| Some(Duration::from_secs(n));
        assert_eq!(waits(&shutdown), [seconds(1), seconds(5), seconds(25), None]);
        shutdown.start();
        assert_eq!(waits(&shutdown), [seconds(1); 4]);
        assert_eq!(shutdown.wait(61), None);
        shutdown.stop_handlers();
        assert_eq!(waits(&shutdown), [None; 4]);
    }

    #[tokio::test(start_paused = true)]
    async fn start_of_shutdown_cuts_the_wait_of_an_outcome_short() {
        let (shutdown, began) = (Shutdown::default(), tokio::time::Instant::now());
        let starting = async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            shutdown.start();
        };
        let (again, ()) = tokio::join!(shutdown.wait_to_record_again(3), starting);
        assert!(again);
        assert_eq!(began.elapsed(), Duration::from_secs(2));
        assert!(shutdown.wait_to_record_again(4).await);
        assert_eq!(began.elapsed(), Duration::from_secs(3), "not in a loop without a pause");
    }

    #[test]
    fn last_writes_are_a_tenth_of_the_time_and_at_most_two_seconds() {
        let of = |seconds| last_writes(Duration::from_secs(seconds)).as_millis();
        assert_eq!([0, 1, 20, 3600].map(of), [0, 100, 2000, 2000]);
    }
}
