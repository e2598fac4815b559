use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};

use super::{queue::Queue, reader::Reader};

/// What the clones of an archive share. Dropping it waits for the writer.
pub(super) struct Handle {
    pub(super) path: PathBuf,
    pub(super) reader: Arc<Reader>,
    pub(super) queue: Arc<Queue>,
    pub(super) writer: Mutex<Option<JoinHandle<()>>>,
}

impl Handle {
    /// Waits until all is written and the lock is given back.
    pub(super) fn stop(&self) {
        self.queue.close();
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if writer.take().is_some_and(|writer| writer.join().is_err()) {
            tracing::error!(path = %self.path.display(), "the writer of the archive panicked");
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.stop();
    }
}
