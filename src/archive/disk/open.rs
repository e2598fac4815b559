use std::{
    path::Path,
    sync::{Arc, Mutex, RwLock},
    time::SystemTime,
};

use tokio::time::Instant;

use super::{
    DiskArchive, DiskArchiveBuilder,
    fs::{
        file_system::{Failure, FileSystem},
        lock::{self, acquire},
        permissions::warn_if_accessible,
        probe::warn_if_not_durable,
        space::Space,
        stall::StallWatch,
    },
    handle::Handle,
    health::Condition,
    index::{Index, SharedIndex},
    maintain::{
        compactor::{CompactionState, Compactor},
        inventory::Inventory,
        maintenance::MaintenanceThread,
    },
    read::reader::{Reader, look},
    recovery::recover,
    write::{command::Command, queue::Queue, writer::Writer},
};
use crate::archive::ArchiveError;

/// Opens an archive for writing. Blocks.
pub(super) fn open(options: DiskArchiveBuilder, now: Instant) -> Result<DiskArchive, ArchiveError> {
    let DiskArchiveBuilder {
        path,
        segment_size,
        queue_capacity,
        probe,
        min_free_space,
        lock_patience,
        policy,
        fs,
    } = options;
    fs.create_dir(&path).map_err(Failure::to("create", &path))?;
    fs.check_user(&path).map_err(Failure::to("write to", &path))?;
    let lock = acquire(&*fs, &path, lock_patience)?;
    warn_if_accessible(&*fs, &path);
    if probe {
        warn_if_not_durable(&*fs, &path);
    }
    let (mut index, log, inventory) = recover(&fs, &path, segment_size)?;
    let condition = Arc::new(condition_of(&index, &inventory));
    lock::log_downtime(&*fs, &path, index.unsettled());
    let poisoned = index.queue_all(now, SystemTime::now())?;
    let (index, queue) = (Arc::new(SharedIndex::new(index)), Arc::new(Queue::new(queue_capacity)));
    for (id, state) in poisoned {
        queue.push(Command::Record { id, state, now })?;
    }
    let every = policy.every;
    let compactor = Arc::new(Compactor {
        fs: Arc::clone(&fs),
        dir: path.clone(),
        index: Arc::clone(&index),
        queue: Arc::clone(&queue),
        condition: Arc::clone(&condition),
        policy,
        state: Mutex::new(CompactionState::new(Arc::clone(&lock), inventory)),
    });
    let writer = Writer {
        log,
        index: Arc::clone(&index),
        queue: Arc::clone(&queue),
        condition: Arc::clone(&condition),
        stall: StallWatch::start(path.clone(), Arc::clone(&condition))
            .map_err(Failure::to("watch the writer of", &path))?,
        lock,
        carried: Vec::new(),
        latest: None,
    };
    let handle = Handle {
        reader: reader(&fs, &path, (&index, &condition), Some(Arc::clone(&queue))),
        index,
        queue,
        space: Space::start(fs, path.clone(), min_free_space)
            .map_err(Failure::to("watch the free space of", &path))?,
        condition,
        compactor: Some(Arc::clone(&compactor)),
        maintenance: Mutex::default(),
        writer: Mutex::new(Some(writer.start().map_err(Failure::to("start a writer of", &path))?)),
        path,
    };
    if let Some(every) = every {
        let maintenance = MaintenanceThread::start(compactor, every)
            .map_err(Failure::to("start maintenance of", &handle.path))?;
        handle.set_maintenance_thread(maintenance);
    }
    Ok(DiskArchive::from_handle(handle))
}

fn condition_of(index: &Index, inventory: &Inventory) -> Condition {
    let condition = Condition::default();
    condition.note_missing(inventory.missing());
    for damage in index.damages() {
        condition.note_damage(damage.segment, damage.offset);
    }
    condition
}

/// Opens an archive read-only. Blocks.
pub(super) fn read_only(options: DiskArchiveBuilder) -> Result<DiskArchive, ArchiveError> {
    let DiskArchiveBuilder { path, fs, .. } = options;
    let index = Arc::new(SharedIndex::new(look(&fs, &path)?));
    let condition = Arc::new(Condition::default());
    Ok(DiskArchive::from_handle(Handle {
        reader: reader(&fs, &path, (&index, &condition), None),
        index,
        queue: Arc::new(Queue::new(0)),
        space: Space::start(fs, path.clone(), 0)
            .map_err(Failure::to("watch the free space of", &path))?,
        condition,
        compactor: None,
        maintenance: Mutex::default(),
        writer: Mutex::default(),
        path,
    }))
}

fn reader(
    fs: &Arc<dyn FileSystem>,
    dir: &Path,
    (index, condition): (&Arc<SharedIndex>, &Arc<Condition>),
    queue: Option<Arc<Queue>>,
) -> Arc<Reader> {
    let latest = RwLock::new(Arc::clone(index));
    let (fs, condition) = (Arc::clone(fs), Arc::clone(condition));
    Arc::new(Reader { fs, dir: dir.to_owned(), latest, queue, condition })
}
