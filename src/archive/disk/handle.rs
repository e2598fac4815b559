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
    health::Condition, keeper::Keeper, queue::Queue, reader::Reader, shared::SharedIndex,
    space::Space, upkeep::Upkeep,
};

/// How long dropping an archive waits for its threads. With the times of a graceful shutdown it must stay below the 30 s
/// after which Kubernetes kills a process.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// What the clones of an archive share. Dropping it waits for the writer.
pub(super) struct Handle {
    pub(super) path: PathBuf,
    pub(super) reader: Arc<Reader>,
    /// Of a read-only archive, the one that was read first.
    pub(super) index: Arc<SharedIndex>,
    pub(super) queue: Arc<Queue>,
    pub(super) space: Space,
    pub(super) condition: Arc<Condition>,
    /// `None` where it is read only.
    pub(super) keeper: Option<Arc<Keeper>>,
    pub(super) upkeep: Mutex<Option<Upkeep>>,
    pub(super) writer: Mutex<Option<JoinHandle<()>>>,
}

impl Handle {
    pub(super) fn looked_after_by(&self, upkeep: Upkeep) {
        *self.upkeep.lock().unwrap_or_else(PoisonError::into_inner) = Some(upkeep);
    }

    /// Waits until all is written and the lock is given back.
    pub(super) fn stop(&self) {
        self.threads().stop();
    }

    /// What is left of the threads. Whoever takes them stops them.
    fn threads(&self) -> Threads {
        self.space.stop();
        Threads {
            upkeep: self.upkeep.lock().unwrap_or_else(PoisonError::into_inner).take(),
            keeper: self.keeper.clone(),
            queue: Arc::clone(&self.queue),
            writer: self.writer.lock().unwrap_or_else(PoisonError::into_inner).take(),
        }
    }
}

/// Stops the archive, but does not wait longer than [`CLOSE_TIMEOUT`] for a disk that hangs: the process is to end. What
/// is not written by then was not acknowledged, and the lock lasts as long as the writer or the process.
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

/// Does the work on a thread of its own, and returns whether it is done in time. Otherwise the work goes on.
fn completes_within(timeout: Duration, work: impl FnOnce() + Send + 'static) -> bool {
    let (done, waiting) = mpsc::channel::<()>();
    let work = move || {
        work();
        drop(done);
    };
    let started = thread::Builder::new().name("inbox-close".to_owned()).spawn(work);
    // Dropping the sender disconnects. If no thread could be started, that happened without the work.
    started.is_ok() && waiting.recv_timeout(timeout) == Err(RecvTimeoutError::Disconnected)
}

/// The threads of an archive that is open.
struct Threads {
    upkeep: Option<Upkeep>,
    keeper: Option<Arc<Keeper>>,
    queue: Arc<Queue>,
    writer: Option<JoinHandle<()>>,
}

impl Threads {
    fn have_ended(&self) -> bool {
        self.upkeep.is_none() && self.writer.is_none()
    }

    /// Panics of the threads were logged where they were caught.
    fn stop(self) {
        drop(self.upkeep.map(Upkeep::stop));
        // Before the writer gives the lock back.
        self.keeper.iter().for_each(|keeper| keeper.close());
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
