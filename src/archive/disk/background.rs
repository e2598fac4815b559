//! Work that blocks, off the threads that serve requests.

use std::thread;

use tokio::{runtime::Handle, sync::oneshot};

use crate::archive::{ArchiveError, Work};

/// Begins `work` now, on a thread where it may block, and gives its result.
pub(super) fn run<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ArchiveError> + Send + 'static,
) -> Work<T> {
    let (sender, result) = oneshot::channel();
    start(move || drop(sender.send(work())));
    Box::pin(async move { result.await.unwrap_or(Err(ArchiveError::Closed)) })
}

/// Begins `work` now, on a thread where it may block.
pub(super) fn start(work: impl FnOnce() + Send + 'static) {
    match Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn_blocking(work)),
        // Should there be no thread, the work is dropped, and who waits for it is told so.
        Err(_) => drop(thread::Builder::new().spawn(work)),
    }
}
