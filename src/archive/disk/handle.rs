use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};

use super::{
    health::Condition, keeper::Keeper, queue::Queue, reader::Reader, shared::SharedIndex,
    space::Space, upkeep::Upkeep,
};

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
        let mut upkeep = self.upkeep.lock().unwrap_or_else(PoisonError::into_inner);
        // Panics of the threads were logged where they were caught.
        drop(upkeep.take().map(Upkeep::stop));
        // Before the writer gives the lock back.
        self.keeper.iter().for_each(|keeper| keeper.close());
        self.queue.close();
        self.space.stop();
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        drop(writer.take().map(JoinHandle::join));
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.stop();
    }
}
