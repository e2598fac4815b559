//! Catches panics of handlers, and restarts background tasks after a panic.

use std::{
    cell::RefCell,
    fmt,
    future::poll_fn,
    panic::{self, AssertUnwindSafe},
    pin::pin,
    sync::Once,
    task::Poll,
    time::Duration,
};

use crate::metrics;

thread_local! {
    /// The location of the last panic of this thread.
    static LOCATION: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// A caught panic, as its file, line and column. The message is left out, because it may contain values of a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Panic {
    location: Option<String>,
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.location {
            Some(location) => write!(f, "panicked at {location}"),
            None => f.write_str("panicked"),
        }
    }
}

/// Calls `work` and catches a panic in it.
pub(crate) fn catch<T>(work: impl FnOnce() -> T) -> Result<T, Panic> {
    record_locations();
    panic::catch_unwind(AssertUnwindSafe(work)).map_err(|_| Panic { location: LOCATION.take() })
}

/// Runs a future to its end and catches a panic in it.
pub(crate) async fn catch_async<F: Future>(future: F) -> Result<F::Output, Panic> {
    let mut future = pin!(future);
    poll_fn(|context| match catch(|| future.as_mut().poll(context)) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

/// Installs a panic hook, because only a hook gets the location of a panic. It calls the previous hook.
fn record_locations() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            LOCATION.set(info.location().map(ToString::to_string));
            before(info);
        }));
    });
}

/// Logs and counts a panic of a background thread or task.
pub(crate) fn report(task: &'static str, panic: &Panic) {
    tracing::error!(task, %panic, "a background task panicked");
    metrics::task_panicked(task);
}

/// Calls `work`; None if it panicked, which is logged and counted under the name of the task.
///
/// The caller must not use what `work` may have left half done.
#[cfg(feature = "disk")]
pub(crate) fn catch_and_report<T>(task: &'static str, work: impl FnOnce() -> T) -> Option<T> {
    catch(work).inspect_err(|panic| report(task, panic)).ok()
}

/// Runs a background task, and restarts it after each panic. Returns when the task returns.
pub(crate) async fn supervise<F: Future<Output = ()>>(name: &'static str, task: impl Fn() -> F) {
    let mut panics = 0;
    while let Err(panic) = catch_async(task()).await {
        report(name, &panic);
        panics += 1;
        tokio::time::sleep(backoff(panics)).await;
    }
}

/// The wait before a task is started again after this many panics in a row: 100 ms, doubled up to 1 minute.
pub(crate) fn backoff(panics: u32) -> Duration {
    let doublings = panics.saturating_sub(1).min(10);
    Duration::from_millis(100 << doublings).min(Duration::from_secs(60))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn panic_is_caught_with_its_location_and_without_its_message() {
        let caught = catch_async(async {
            tokio::task::yield_now().await;
            panic!("a secret of the payload");
        });
        let text = caught.await.map(|(): ()| ()).unwrap_err().to_string();
        assert!(text.starts_with("panicked at ") && text.contains("supervise.rs"), "{text}");
        assert!(!text.contains("secret"), "{text}");
        assert_eq!(catch(|| 7).unwrap(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn task_that_panics_is_restarted_with_backoff() {
        let (runs, start) = (AtomicUsize::new(0), tokio::time::Instant::now());
        supervise("test", || async {
            assert!(runs.fetch_add(1, Ordering::Relaxed) >= 3, "on purpose");
        })
        .await;
        assert_eq!(runs.load(Ordering::Relaxed), 4);
        assert_eq!(start.elapsed(), backoff(1) + backoff(2) + backoff(3));
    }

    #[test]
    fn backoff_doubles_up_to_a_minute() {
        let millis = [0, 1, 2, 3, 10, 11, u32::MAX].map(|panics| backoff(panics).as_millis());
        assert_eq!(millis, [100, 100, 200, 400, 51_200, 60_000, 60_000]);
    }
}
