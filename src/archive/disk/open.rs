use std::{
    path::Path,
    sync::{Arc, Mutex, RwLock},
    time::SystemTime,
};

use tokio::time::Instant;

use super::{
    DiskArchive, DiskArchiveBuilder,
    fs::{
        failure::Failure,
        lock::{self, acquire},
        medium::Medium,
        permissions::warn_if_accessible,
        probe::warn_if_not_durable,
        space::Space,
        stall::StallWatch,
    },
    handle::Handle,
    health::Condition,
    maintain::{keeper::Keeper, state::State, upkeep::Upkeep},
    read::{read_only::look, reader::Reader},
    recovery::recover,
    shared::SharedIndex,
    write::{command::Command, queue::Queue, writer::Writer},
};
use crate::archive::ArchiveError;

/// Opens an archive for writing. Blocks.
pub(super) fn open(options: DiskArchiveBuilder, now: Instant) -> Result<DiskArchive, ArchiveError> {
    let DiskArchiveBuilder {
        path,
        segment_size,
        waiting,
        probe,
        least_free,
        lock_patience,
        terms,
        medium,
    } = options;
    medium.create_dir(&path).map_err(Failure::to("create", &path))?;
    medium.check_user(&path).map_err(Failure::to("write to", &path))?;
    let lock = acquire(&*medium, &path, lock_patience)?;
    warn_if_accessible(&*medium, &path);
    if probe {
        warn_if_not_durable(&*medium, &path);
    }
    let (mut index, log, inventory) = recover(&medium, &path, segment_size)?;
    let condition = Arc::new(Condition::default());
    condition.note_missing(inventory.missing());
    for damage in index.damages() {
        condition.note_damage(damage.segment, damage.offset);
    }
    lock::tell(&*medium, &path, index.unsettled());
    let poisoned = index.queue_all(now, SystemTime::now())?;
    let (index, queue) = (Arc::new(SharedIndex::new(index)), Arc::new(Queue::new(waiting)));
    for (id, state) in poisoned {
        queue.push(Command::Record { id, state, now })?;
    }
    let every = terms.every;
    let keeper = Arc::new(Keeper {
        medium: Arc::clone(&medium),
        dir: path.clone(),
        index: Arc::clone(&index),
        queue: Arc::clone(&queue),
        condition: Arc::clone(&condition),
        terms,
        state: Mutex::new(State::new(Arc::clone(&lock), inventory)),
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
        reader: reader(&medium, &path, (&index, &condition), Some(Arc::clone(&queue))),
        index,
        queue,
        space: Space::start(medium, path.clone(), least_free)
            .map_err(Failure::to("watch the free space of", &path))?,
        condition,
        keeper: Some(Arc::clone(&keeper)),
        upkeep: Mutex::default(),
        writer: Mutex::new(Some(writer.start().map_err(Failure::to("start a writer of", &path))?)),
        path,
    };
    if let Some(every) = every {
        let upkeep = Upkeep::start(keeper, every)
            .map_err(Failure::to("start maintenance of", &handle.path))?;
        handle.looked_after_by(upkeep);
    }
    Ok(DiskArchive::from_handle(handle))
}

/// Opens an archive read-only. Blocks.
pub(super) fn read_only(options: DiskArchiveBuilder) -> Result<DiskArchive, ArchiveError> {
    let DiskArchiveBuilder { path, medium, .. } = options;
    let index = Arc::new(SharedIndex::new(look(&medium, &path)?));
    let condition = Arc::new(Condition::default());
    Ok(DiskArchive::from_handle(Handle {
        reader: reader(&medium, &path, (&index, &condition), None),
        index,
        queue: Arc::new(Queue::new(0)),
        space: Space::start(medium, path.clone(), 0)
            .map_err(Failure::to("watch the free space of", &path))?,
        condition,
        keeper: None,
        upkeep: Mutex::default(),
        writer: Mutex::default(),
        path,
    }))
}

fn reader(
    medium: &Arc<dyn Medium>,
    dir: &Path,
    (index, condition): (&Arc<SharedIndex>, &Arc<Condition>),
    queue: Option<Arc<Queue>>,
) -> Arc<Reader> {
    let latest = RwLock::new(Arc::clone(index));
    let (medium, condition) = (Arc::clone(medium), Arc::clone(condition));
    Arc::new(Reader { medium, dir: dir.to_owned(), latest, queue, condition })
}
