use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    DiskArchive, background,
    fs::{file_system::FileSystem, real_disk::RealDisk},
    maintain::policy::RetentionPolicy,
    open,
};
use crate::archive::ArchiveError;

/// Options for opening a [`DiskArchive`].
#[derive(Clone, Debug)]
#[must_use = "nothing is opened before `open` is awaited"]
pub struct DiskArchiveBuilder {
    pub(super) path: PathBuf,
    pub(super) segment_size: u64,
    pub(super) queue_capacity: usize,
    pub(super) probe: bool,
    pub(super) min_free_space: u64,
    pub(super) lock_patience: Duration,
    pub(super) policy: RetentionPolicy,
    pub(super) fs: Arc<dyn FileSystem>,
}

impl DiskArchiveBuilder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            segment_size: 128 << 20,
            queue_capacity: 4096,
            probe: true,
            min_free_space: 256 << 20,
            lock_patience: Duration::ZERO,
            policy: RetentionPolicy::default(),
            fs: Arc::new(RealDisk),
        }
    }

    /// Sets the segment size in bytes: once a segment reaches it, a new one is started. Default: 128 MiB.
    pub fn segment_size(mut self, bytes: u64) -> Self {
        self.segment_size = bytes;
        self
    }

    /// Sets the maximum number of queued commands; further commands are rejected with [`ArchiveError::Overloaded`]. Up
    /// to the same number may also be in the process of being written. Default: 4096.
    pub fn queue_capacity(mut self, commands: usize) -> Self {
        self.queue_capacity = commands;
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
        self.policy.segment_age = age;
        self
    }

    /// Compresses a sealed segment once its last delivery reaches this age; `None` disables compression. Default: 7
    /// days.
    ///
    /// Each record is a separate gzip member, as the standard requires (`.warc.gz`): tools that read one format also
    /// read the other.
    pub fn compress_after(mut self, age: impl Into<Option<Duration>>) -> Self {
        self.policy.compress_after = age.into();
        self
    }

    /// Removes the processed deliveries and the repeats of a segment once its last delivery reaches this age. Default:
    /// never.
    ///
    /// Unsettled deliveries are kept until they are settled, and dead and undecodable ones according to
    /// [`dead_retention`](Self::dead_retention). The ledger entries of removed deliveries are kept according to
    /// [`ledger_retention`](Self::ledger_retention).
    pub fn retention(mut self, age: impl Into<Option<Duration>>) -> Self {
        self.policy.retention = age.into();
        self
    }

    /// Removes the dead and undecodable deliveries of a segment once its last delivery reaches this age. Default:
    /// never.
    pub fn dead_retention(mut self, age: impl Into<Option<Duration>>) -> Self {
        self.policy.dead_retention = age.into();
        self
    }

    /// Removes the processed deliveries and the repeats of the oldest segments while the total size of all segments
    /// exceeds this many bytes. Default: no limit.
    ///
    /// Ledger entries count towards the limit (about 400 bytes per removed delivery) and are removed only by
    /// [`ledger_retention`](Self::ledger_retention), so leave room for them.
    pub fn max_bytes(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.policy.max_bytes = bytes.into();
        self
    }

    /// Sets how long after receipt a removed delivery is remembered for deduplication. With `None` it is remembered
    /// until the limit of [`ledger_limit`](Self::ledger_limit) is reached. Choose at least the time for which your providers
    /// repeat a delivery. Default: 30 days.
    ///
    /// A delivery whose body is stored is always remembered. Ledger entries are dropped by whole segments, once the
    /// last delivery of a segment reaches this age, so it may take longer.
    pub fn ledger_retention(mut self, age: impl Into<Option<Duration>>) -> Self {
        self.policy.ledger_retention = age.into();
        self
    }

    /// Sets the maximum number of removed deliveries that are remembered: above it, the oldest segments are forgotten
    /// regardless of age. Default: 2 million, which uses at most about 80 MB of memory.
    pub fn ledger_limit(mut self, deliveries: usize) -> Self {
        self.policy.ledger_limit = deliveries as u64;
        self
    }

    /// Rejects new deliveries with [`ArchiveError::NoSpace`] while fewer bytes than this are free on the disk. This
    /// reserves space for outcomes, for recovery, and for removals, which rewrite a segment. 0 allows the disk to fill
    /// completely. Default: 256 MiB.
    ///
    /// The free space is read every second; while a reading hangs, the last value counts, less the deliveries accepted
    /// since. On systems other than Unix the free space is unknown, and nothing is rejected.
    pub fn min_free_space(mut self, bytes: u64) -> Self {
        self.min_free_space = bytes;
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
    /// shorter). With `None`, maintenance runs only when [`DiskArchive::maintain_now`] is called. Default: 1 minute.
    pub fn maintenance_interval(mut self, pause: impl Into<Option<Duration>>) -> Self {
        self.policy.every = pause.into();
        self
    }

    /// Uses another disk, which is not probed.
    #[cfg(feature = "testing")]
    pub(crate) fn fs(mut self, fs: Arc<dyn FileSystem>) -> Self {
        self.probe = false;
        self.fs = fs;
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
