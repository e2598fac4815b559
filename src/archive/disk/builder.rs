use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{DiskArchive, background, medium::Medium, open, real_disk::RealDisk, terms::Terms};
use crate::archive::ArchiveError;

/// How to open a [`DiskArchive`], where the defaults do not fit.
#[derive(Clone, Debug)]
#[must_use = "nothing is opened before `open` is awaited"]
pub struct DiskArchiveBuilder {
    pub(super) path: PathBuf,
    pub(super) segment_size: u64,
    pub(super) waiting: usize,
    pub(super) probe: bool,
    pub(super) least_free: u64,
    pub(super) lock_patience: Duration,
    pub(super) terms: Terms,
    pub(super) medium: Arc<dyn Medium>,
}

impl DiskArchiveBuilder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            segment_size: 128 << 20,
            waiting: 4096,
            probe: true,
            least_free: 256 << 20,
            lock_patience: Duration::ZERO,
            terms: Terms::default(),
            medium: Arc::new(RealDisk),
        }
    }

    /// Starts a new segment once one is as long as this, in bytes. 128 MiB without another choice.
    pub fn segment_size(mut self, bytes: u64) -> Self {
        self.segment_size = bytes;
        self
    }

    /// How many commands may wait for the disk; one more is refused as [`ArchiveError::Overloaded`]. 4096 without
    /// another choice. As many again may be on their way to the disk.
    pub fn waiting(mut self, commands: usize) -> Self {
        self.waiting = commands;
        self
    }

    /// Whether opening tries if the disk keeps what is synced, and warns where it seems not to: on a file system in
    /// memory, or where a sync takes less than 10 µs. That takes eight syncs of a small file. Done without another
    /// choice.
    pub fn probe(mut self, probe: bool) -> Self {
        self.probe = probe;
        self
    }

    /// Starts a new segment once the first delivery in one is as old as this, also if it is short. 24 hours without
    /// another choice.
    pub fn segment_age(mut self, age: Duration) -> Self {
        self.terms.segment_age = age;
        self
    }

    /// Compresses a sealed segment once its last delivery is as old as this; never with `None`. 7 days without another
    /// choice.
    ///
    /// Each record is a gzip member of its own, as the standard says (`.warc.gz`): what reads the one form reads the
    /// other.
    pub fn compress_after(mut self, age: impl Into<Option<Duration>>) -> Self {
        self.terms.compress_after = age.into();
        self
    }

    /// Removes the processed deliveries and the repeats of a segment once its last delivery is as old as this. Default:
    /// never.
    ///
    /// Deliveries that are not settled are kept until they are, and dead and undecodable ones as
    /// [`keep_dead_for`](Self::keep_dead_for) says. The ledger entries of removed deliveries stay for
    /// [`remember_for`](Self::remember_for).
    pub fn keep_for(mut self, age: impl Into<Option<Duration>>) -> Self {
        self.terms.keep_for = age.into();
        self
    }

    /// Removes the dead and undecodable deliveries of a segment once its last delivery is as old as this. Default: never.
    pub fn keep_dead_for(mut self, age: impl Into<Option<Duration>>) -> Self {
        self.terms.keep_dead_for = age.into();
        self
    }

    /// Removes the processed deliveries and the repeats of the oldest segments while all segments together have more bytes
    /// than this. Default: no limit.
    ///
    /// The lines of the ledger count, too, some 400 bytes for each delivery that was removed, and only
    /// [`remember_for`](Self::remember_for) removes them: leave room for them.
    pub fn keep_bytes(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.terms.keep_bytes = bytes.into();
        self
    }

    /// For how long after its receipt a delivery is remembered whose body was removed, so that a repeat of it is
    /// recognised: 30 days without another choice; with `None` as long as there is room, see
    /// [`remember`](Self::remember). Choose no less than the time for which your providers repeat a delivery.
    ///
    /// A delivery whose body is there is remembered in any case. What is remembered is forgotten by whole segments, once
    /// the last delivery of one is as old as this, so it may take longer.
    pub fn remember_for(mut self, age: impl Into<Option<Duration>>) -> Self {
        self.terms.remember_for = age.into();
        self
    }

    /// How many deliveries are remembered whose bodies were removed: above this the segments of the oldest are forgotten,
    /// however young. 2 million without another choice, which takes at most some 80 MB of memory.
    pub fn remember(mut self, deliveries: usize) -> Self {
        self.terms.remember = deliveries as u64;
        self
    }

    /// Refuses new deliveries as [`ArchiveError::NoSpace`] while fewer bytes than this are free on the disk, so that
    /// there is room for outcomes, for recovery, and for removing, which writes a segment anew. 256 MiB without another
    /// choice; 0 fills the disk to the last byte. The free space is read every second; while reading it hangs, the last
    /// value counts, less what was accepted since. On other systems than Unix the free space is not known, and nothing is
    /// refused.
    pub fn least_free(mut self, bytes: u64) -> Self {
        self.least_free = bytes;
        self
    }

    /// Sets how long opening waits for another process, or another archive of this process, to release the directory
    /// before it fails as [`ArchiveError::Locked`]. Default: not at all.
    ///
    /// For rolling deploys: the new process waits until the old one has shut down.
    pub fn wait_for_lock(mut self, patience: Duration) -> Self {
        self.lock_patience = patience;
        self
    }

    /// How often the archive looks after itself: seals, compresses, removes what is too old, and does what other
    /// processes ask for (that once a second, or as often). On a thread of its own. Every minute without another choice;
    /// with `None` only when [`DiskArchive::upkeep_now`] is called.
    pub fn upkeep_every(mut self, pause: impl Into<Option<Duration>>) -> Self {
        self.terms.every = pause.into();
        self
    }

    /// Puts another disk behind the archive, which is not probed.
    #[cfg(feature = "testing")]
    pub(crate) fn medium(mut self, medium: Arc<dyn Medium>) -> Self {
        self.probe = false;
        self.medium = medium;
        self
    }

    /// Opens the archive, as [`DiskArchive::open`] does.
    ///
    /// # Errors
    ///
    /// As those of [`DiskArchive::open`].
    pub async fn open(self) -> Result<DiskArchive, ArchiveError> {
        let now = Instant::now();
        background::run(move || open::open(self, now)).await
    }

    /// Opens the archive to be read only, as [`DiskArchive::read_only`] does.
    ///
    /// # Errors
    ///
    /// As those of [`DiskArchive::read_only`].
    pub async fn read_only(self) -> Result<DiskArchive, ArchiveError> {
        background::run(move || open::read_only(self)).await
    }
}
