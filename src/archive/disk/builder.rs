use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    DiskArchive, background,
    fs::{medium::Medium, real_disk::RealDisk},
    maintain::terms::Terms,
    open,
};
use crate::archive::ArchiveError;

/// Options for opening a [`DiskArchive`].
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

    /// Sets the segment size in bytes: once a segment reaches it, a new one is started. Default: 128 MiB.
    pub fn segment_size(mut self, bytes: u64) -> Self {
        self.segment_size = bytes;
        self
    }

    /// Sets the maximum number of queued commands; further commands are rejected with [`ArchiveError::Overloaded`]. Up
    /// to the same number may also be in the process of being written. Default: 4096.
    pub fn waiting(mut self, commands: usize) -> Self {
        self.waiting = commands;
        self
    }

    /// Sets whether opening checks that the disk keeps synced data, and logs a warning if it seems not to: on an
    /// in-memory file system, or where a sync takes less than 10 µs. The check syncs a small file eight times. Default:
    /// enabled.
    pub fn probe(mut self, probe: bool) -> Self {
        self.probe = probe;
        self
    }

    /// Sets the segment age: once the first delivery in a segment reaches it, a new segment is started even if the
    /// current one is short. Default: 24 hours.
    pub fn segment_age(mut self, age: Duration) -> Self {
        self.terms.segment_age = age;
        self
    }

    /// Compresses a sealed segment once its last delivery reaches this age; `None` disables compression. Default: 7
    /// days.
    ///
    /// Each record is a separate gzip member, as the standard requires (`.warc.gz`): tools that read one format also
    /// read the other.
    pub fn compress_after(mut self, age: impl Into<Option<Duration>>) -> Self {
        self.terms.compress_after = age.into();
        self
    }

    /// Removes the processed deliveries and the repeats of a segment once its last delivery reaches this age. Default:
    /// never.
    ///
    /// Unsettled deliveries are kept until they are settled, and dead and undecodable ones according to
    /// [`keep_dead_for`](Self::keep_dead_for). The ledger entries of removed deliveries are kept according to
    /// [`remember_for`](Self::remember_for).
    pub fn keep_for(mut self, age: impl Into<Option<Duration>>) -> Self {
        self.terms.keep_for = age.into();
        self
    }

    /// Removes the dead and undecodable deliveries of a segment once its last delivery reaches this age. Default:
    /// never.
    pub fn keep_dead_for(mut self, age: impl Into<Option<Duration>>) -> Self {
        self.terms.keep_dead_for = age.into();
        self
    }

    /// Removes the processed deliveries and the repeats of the oldest segments while the total size of all segments
    /// exceeds this many bytes. Default: no limit.
    ///
    /// Ledger entries count towards the limit (about 400 bytes per removed delivery) and are removed only by
    /// [`remember_for`](Self::remember_for), so leave room for them.
    pub fn keep_bytes(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.terms.keep_bytes = bytes.into();
        self
    }

    /// Sets how long after receipt a removed delivery is remembered for deduplication. With `None` it is remembered
    /// until the limit of [`remember`](Self::remember) is reached. Choose at least the time for which your providers
    /// repeat a delivery. Default: 30 days.
    ///
    /// A delivery whose body is stored is always remembered. Ledger entries are dropped by whole segments, once the
    /// last delivery of a segment reaches this age, so it may take longer.
    pub fn remember_for(mut self, age: impl Into<Option<Duration>>) -> Self {
        self.terms.remember_for = age.into();
        self
    }

    /// Sets the maximum number of removed deliveries that are remembered: above it, the oldest segments are forgotten
    /// regardless of age. Default: 2 million, which uses at most about 80 MB of memory.
    pub fn remember(mut self, deliveries: usize) -> Self {
        self.terms.remember = deliveries as u64;
        self
    }

    /// Rejects new deliveries with [`ArchiveError::NoSpace`] while fewer bytes than this are free on the disk. This
    /// reserves space for outcomes, for recovery, and for removals, which rewrite a segment. 0 allows the disk to fill
    /// completely. Default: 256 MiB.
    ///
    /// The free space is read every second; while a reading hangs, the last value counts, less the deliveries accepted
    /// since. On systems other than Unix the free space is unknown, and nothing is rejected.
    pub fn least_free(mut self, bytes: u64) -> Self {
        self.least_free = bytes;
        self
    }

    /// Sets how long opening waits for another process, or another archive in this process, to release the directory
    /// before it fails with [`ArchiveError::Locked`]. Default: no wait.
    ///
    /// For rolling deploys: the new process waits until the old one has shut down.
    pub fn wait_for_lock(mut self, patience: Duration) -> Self {
        self.lock_patience = patience;
        self
    }

    /// Sets the maintenance interval: how often a background thread seals, compresses, removes expired deliveries, and
    /// executes requests from other processes (requests are checked once a second, or at this interval if it is
    /// shorter). With `None`, maintenance runs only when [`DiskArchive::upkeep_now`] is called. Default: 1 minute.
    pub fn upkeep_every(mut self, pause: impl Into<Option<Duration>>) -> Self {
        self.terms.every = pause.into();
        self
    }

    /// Uses another disk, which is not probed.
    #[cfg(feature = "testing")]
    pub(crate) fn medium(mut self, medium: Arc<dyn Medium>) -> Self {
        self.probe = false;
        self.medium = medium;
        self
    }

    /// Opens the archive; see [`DiskArchive::open`].
    ///
    /// # Errors
    ///
    /// The same as [`DiskArchive::open`].
    pub async fn open(self) -> Result<DiskArchive, ArchiveError> {
        let now = Instant::now();
        background::run(move || open::open(self, now)).await
    }

    /// Opens the archive read-only; see [`DiskArchive::read_only`].
    ///
    /// # Errors
    ///
    /// The same as [`DiskArchive::read_only`].
    pub async fn read_only(self) -> Result<DiskArchive, ArchiveError> {
        background::run(move || open::read_only(self)).await
    }
}
