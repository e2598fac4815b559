use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, RecvTimeoutError},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{
    fs::space::Space,
    health::Condition,
    index::SharedIndex,
    maintain::{compactor::Compactor, maintenance::MaintenanceThread},
    read::reader::Reader,
    write::queue::Queue,
};

/// The maximum time that dropping an archive waits for its threads. Together with the timeouts of a graceful shutdown
/// it must stay below the 30 s after which Kubernetes kills a process.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The state shared by the clones of an archive. Dropping it waits for the writer.
pub(super) struct Handle {
    pub(super) path: PathBuf,
    pub(super) reader: Arc<Reader>,
    /// The shared index. For a read-only archive, the index that was read first.
    pub(super) index: Arc<SharedIndex>,
    pub(super) queue: Arc<Queue>,
    pub(super) space: Space,
    pub(super) condition: Arc<Condition>,
    /// `None` if the archive is read-only.
    pub(super) compactor: Option<Arc<Compactor>>,
    pub(super) maintenance: Mutex<Option<MaintenanceThread>>,
    pub(super) writer: Mutex<Option<JoinHandle<()>>>,
}

impl Handle {
    pub(super) fn set_maintenance_thread(&self, maintenance: MaintenanceThread) {
        *self.maintenance.lock().unwrap_or_else(PoisonError::into_inner) = Some(maintenance);
    }

    /// Waits until everything is written and the lock is released.
    pub(super) fn stop(&self) {
        self.threads().stop();
    }

    /// Takes the remaining threads. The caller must stop them.
    fn threads(&self) -> Threads {
        self.space.stop();
        Threads {
            maintenance: self.maintenance.lock().unwrap_or_else(PoisonError::into_inner).take(),
            compactor: self.compactor.clone(),
            queue: Arc::clone(&self.queue),
            writer: self.writer.lock().unwrap_or_else(PoisonError::into_inner).take(),
        }
    }
}

/// Stops the archive, but waits at most [`CLOSE_TIMEOUT`] for a disk that hangs, so that the process can exit.
/// Unwritten commands were not acknowledged, and the lock is held until the writer or the process ends.
impl Drop for Handle {
    fn drop(&mut self) {
        let threads = self.threads();
        if threads.have_ended() {
            return;
        }
        if !completes_within(CLOSE_TIMEOUT, move || threads.stop()) {
            let path = self.path.display();
            tracing::warn!(%path, timeout = ?CLOSE_TIMEOUT, "the archive could not be closed in time");
        }
    }
}

/// Runs the work on a separate thread, and returns whether it completes in time. Otherwise the work continues.
fn completes_within(timeout: Duration, work: impl FnOnce() + Send + 'static) -> bool {
    let (done, waiting) = mpsc::channel::<()>();
    let work = move || {
        work();
        drop(done);
    };
    let started = thread::Builder::new().name("inbox-close".to_owned()).spawn(work);
    // Dropping the sender disconnects the channel. If no thread could be started, this happens without the work being
    // run.
    started.is_ok() && waiting.recv_timeout(timeout) == Err(RecvTimeoutError::Disconnected)
}

/// The threads of an open archive.
struct Threads {
    maintenance: Option<MaintenanceThread>,
    compactor: Option<Arc<Compactor>>,
    queue: Arc<Queue>,
    writer: Option<JoinHandle<()>>,
}

impl Threads {
    fn have_ended(&self) -> bool {
        self.maintenance.is_none() && self.writer.is_none()
    }

    /// Panics of the threads were logged where they were caught.
    fn stop(self) {
        drop(self.maintenance.map(MaintenanceThread::stop));
        // This must happen before the writer releases the lock.
        self.compactor.iter().for_each(|compactor| compactor.close());
        self.queue.close();
        drop(self.writer.map(JoinHandle::join));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_does_not_wait_longer_than_its_timeout_for_a_disk_that_hangs() {
        let (hang, hanging) = mpsc::channel::<()>();
        let hangs = move || hanging.recv().unwrap_or_default();
        assert!(!completes_within(Duration::from_millis(20), hangs));
        drop(hang);
        let (done, is_done) = mpsc::channel();
        assert!(completes_within(Duration::from_secs(60), move || done.send(()).unwrap()));
        assert_eq!(is_done.try_recv(), Ok(()));
    }
}
