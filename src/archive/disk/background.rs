//! Runs blocking work off the threads that serve requests.

use std::thread;

use tokio::{runtime::Handle, sync::oneshot};

use crate::{
    archive::{ArchiveError, Work},
    supervise::catch_and_report,
};

/// Runs `work` immediately on a thread that may block, and returns its result; an error if it panics.
pub(super) fn run<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ArchiveError> + Send + 'static,
) -> Work<T> {
    let (sender, result) = oneshot::channel();
    start(move || {
        let done = catch_and_report("archive", work);
        drop(sender.send(done.unwrap_or_else(|| Err(ArchiveError::Other(Box::new(Panicked))))));
    });
    Box::pin(async move { result.await.unwrap_or(Err(ArchiveError::Closed)) })
}

/// Starts `work` immediately on a thread that may block. A panic is logged.
pub(super) fn start(work: impl FnOnce() + Send + 'static) {
    let work = move || catch_and_report("archive", work).unwrap_or_default();
    match Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn_blocking(work)),
        // If no thread can be started, the work is dropped and its result is an error.
        Err(_) => drop(thread::Builder::new().spawn(work)),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the operation panicked; the log says why")]
struct Panicked;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_panics_is_an_error() {
        let failed = run(|| -> Result<(), _> { panic!("by the test") }).await;
        assert!(matches!(failed, Err(ArchiveError::Other(_))), "{failed:?}");
    }
}
