use std::time::Duration;

use super::panics::catch_async;
use crate::metrics;

/// The wait before a task that panicked is restarted. It doubles with each panic in a row.
const FIRST_WAIT: Duration = Duration::from_millis(100);

const MAX_WAIT: Duration = Duration::from_secs(30);

/// Runs a task that must live, and starts it again when it panics. Ends when it ends.
pub(crate) async fn supervise<F: Future<Output = ()>>(name: &'static str, task: impl Fn() -> F) {
    let mut wait = FIRST_WAIT;
    while let Err(panic) = catch_async(task()).await {
        tracing::error!(task = name, %panic, restart_in = ?wait, "a background task panicked and is restarted");
        metrics::task_panicked(name);
        tokio::time::sleep(wait).await;
        wait = wait.saturating_mul(2).min(MAX_WAIT);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn task_that_panics_is_restarted_with_backoff() {
        let (runs, start) = (AtomicUsize::new(0), tokio::time::Instant::now());
        supervise("test", || async {
            assert!(runs.fetch_add(1, Ordering::Relaxed) >= 3, "on purpose");
        })
        .await;
        assert_eq!(runs.load(Ordering::Relaxed), 4);
        assert!(start.elapsed() >= 7 * FIRST_WAIT);
    }
}
