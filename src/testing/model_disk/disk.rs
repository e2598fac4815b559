use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{call::Call, crash::Crash, gate::Gate, image::Image};
use crate::{
    archive::{ArchiveError, DiskArchive, DiskArchiveBuilder},
    testing::{Fault, faulty_disk::Faults},
};

/// A disk in memory that can crash: it keeps apart what was written and what was synced, block by block and name by
/// name. Its clones are the same disk.
///
/// What was written reaches the disk in blocks, in any order, or not at all, until the file is synced. What was created,
/// renamed or removed reaches it in order, or not at all, until the directory is synced. A sync that fails forgets what
/// it should have written: programs still see it, and no later sync brings it to the disk.
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
/// // Whatever a power failure leaves at this moment, the delivery is in it.
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

/// The disk as it is, and how it came to be so.
#[derive(Debug)]
pub(super) struct State {
    start: Image,
    pub(super) now: Image,
    calls: Vec<Call>,
}

impl ModelDisk {
    /// An empty disk that writes blocks of so many bytes.
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
    /// As those of [`DiskArchive::open`].
    pub async fn open(&self, archive: DiskArchiveBuilder) -> Result<DiskArchive, ArchiveError> {
        archive.medium(Arc::new(self.clone())).open().await
    }

    /// How many calls have changed the disk since it was made.
    pub fn calls(&self) -> usize {
        self.state().calls.len()
    }

    /// The disk as it was after so many calls, for a crash at that moment.
    pub fn crash_after(&self, calls: usize) -> Crash {
        let state = self.state();
        let mut image = state.start.clone();
        state.calls.iter().take(calls).for_each(|call| image.apply(call));
        Crash(image)
    }

    /// The files, by name.
    pub fn files(&self) -> Vec<PathBuf> {
        self.state().now.names.now.keys().cloned().collect()
    }

    /// What programs see of a file; `None` where there is none.
    pub fn read(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        state.now.file(path).map(|file| state.now.bytes(file).to_vec())
    }

    /// Puts a file there that was not there before, durably.
    pub fn put(&self, path: &Path, bytes: Vec<u8>) {
        let mut state = self.state();
        let file = state.now.next_file();
        state.make(Call::Create(path.to_owned()));
        state.make(Call::Append(file, bytes));
        state.make(Call::Sync(file));
        path.parent().into_iter().for_each(|dir| state.make(Call::SyncDir(dir.to_owned())));
    }

    /// How many bytes were read since the disk was made.
    pub fn bytes_read(&self) -> u64 {
        self.0.bytes_read.load(Ordering::Relaxed)
    }

    /// Goes wrong like this from now on; `None` heals it.
    pub fn fail(&self, fault: Option<Fault>) {
        self.0.faults.set(fault);
    }

    /// What it does wrong at the moment. What concerns one call is over once it has happened.
    pub fn fault_now(&self) -> Option<Fault> {
        self.0.faults.now()
    }

    /// Lets the next write wait until [`ModelDisk::release`].
    pub fn hold(&self) {
        self.0.gate.close();
    }

    /// Waits until a write waits. Blocks.
    pub fn wait_until_held(&self) {
        self.0.gate.reached();
    }

    /// Lets every write go on.
    pub fn release(&self) {
        self.0.gate.open();
    }

    /// The same number for disks with the same files and bytes.
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
