use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    content::{Call, Image},
    crash::Crash,
    gate::Gate,
};
use crate::{
    archive::{ArchiveError, DiskArchive, DiskArchiveBuilder},
    testing::{Fault, faulty_disk::Faults},
};

/// A disk in memory that can crash. It stores written and synced data separately, per block and per name. Clones share
/// the disk.
///
/// Until a file is synced, its written blocks reach the disk in any order or not at all. Until a directory is synced,
/// creations, renames and removals reach the disk in order or not at all. A failed sync drops the pending data:
/// programs still read it, but no later sync writes it.
///
/// ```
/// use tower_inbox::{Archive, DiskArchive, archive::Append, testing::{ModelDisk, Sample}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let disk = ModelDisk::new(512);
/// let archive = disk.open(DiskArchive::builder("inbox")).await?;
/// let delivery = Sample::of("/m").body("{}").delivery();
/// let receipt = archive.append(Append::new(delivery)).await?.receipt;
/// // Every disk that a power failure can leave now contains the delivery.
/// for left in disk.crash_after(disk.calls()).each() {
///     let archive = left.open(DiskArchive::builder("inbox")).await?;
///     assert!(archive.get(receipt.id()).await?.is_some());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ModelDisk(pub(super) Arc<Shared>);

#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    pub(super) faults: Faults,
    pub(super) gate: Gate,
    pub(super) locks: Mutex<HashSet<PathBuf>>,
    pub(super) bytes_read: AtomicU64,
}

/// The current disk, and the calls that produced it.
#[derive(Debug)]
pub(super) struct State {
    start: Image,
    pub(super) now: Image,
    calls: Vec<Call>,
}

impl ModelDisk {
    /// Creates an empty disk with blocks of `block` bytes.
    pub fn new(block: usize) -> Self {
        Self::with(Image::new(block))
    }

    pub(super) fn with(image: Image) -> Self {
        let state = State { start: image.clone(), now: image, calls: Vec::new() };
        Self(Arc::new(Shared {
            state: Mutex::new(state),
            faults: Faults::default(),
            gate: Gate::default(),
            locks: Mutex::default(),
            bytes_read: AtomicU64::new(0),
        }))
    }

    /// Opens an archive on this disk.
    ///
    /// # Errors
    ///
    /// Same as [`DiskArchive::open`].
    pub async fn open(&self, archive: DiskArchiveBuilder) -> Result<DiskArchive, ArchiveError> {
        archive.fs(Arc::new(self.clone())).open().await
    }

    /// Returns the number of calls that have changed the disk.
    pub fn calls(&self) -> usize {
        self.state().calls.len()
    }

    /// Returns the possible disks after a crash that follows the first `calls` calls.
    pub fn crash_after(&self, calls: usize) -> Crash {
        let state = self.state();
        let mut image = state.start.clone();
        state.calls.iter().take(calls).for_each(|call| image.apply(call));
        Crash(image)
    }

    /// Returns the paths of all files, sorted.
    pub fn files(&self) -> Vec<PathBuf> {
        self.state().now.names.now.keys().cloned().collect()
    }

    /// Returns the contents of a file as programs read them, or `None` if it does not exist.
    pub fn read(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        state.now.file(path).map(|file| state.now.bytes(file).to_vec())
    }

    /// Creates a file durably.
    pub fn put(&self, path: &Path, bytes: Vec<u8>) {
        let mut state = self.state();
        let file = state.now.next_file();
        state.make(Call::Create(path.to_owned()));
        state.make(Call::Append(file, bytes));
        state.make(Call::Sync(file));
        path.parent().into_iter().for_each(|dir| state.make(Call::SyncDir(dir.to_owned())));
    }

    /// Returns the number of bytes read since the disk was created.
    pub fn bytes_read(&self) -> u64 {
        self.0.bytes_read.load(Ordering::Relaxed)
    }

    /// Sets the fault of the disk. `None` removes it.
    pub fn fail(&self, fault: Option<Fault>) {
        self.0.faults.set(fault);
    }

    /// Returns the current fault. A single-call fault ends after that call.
    pub fn fault_now(&self) -> Option<Fault> {
        self.0.faults.now()
    }

    /// Blocks the next write until [`ModelDisk::release`].
    pub fn hold(&self) {
        self.0.gate.close();
    }

    /// Blocks the thread until a write is blocked.
    pub fn wait_until_held(&self) {
        self.0.gate.reached();
    }

    /// Unblocks all writes.
    pub fn release(&self) {
        self.0.gate.open();
    }

    /// Returns a number that is equal for disks with equal files.
    pub fn fingerprint(&self) -> u64 {
        self.state().now.fingerprint()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    pub(super) fn make(&mut self, call: Call) {
        self.now.apply(&call);
        self.calls.push(call);
    }
}
