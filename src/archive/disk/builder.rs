use std::{path::PathBuf, sync::Arc};

use super::{DiskArchive, background, medium::Medium, real_disk::RealDisk};
use crate::archive::ArchiveError;

/// How to open a [`DiskArchive`], where the defaults do not fit.
#[derive(Clone, Debug)]
#[must_use = "nothing is opened before `open` is awaited"]
pub struct DiskArchiveBuilder {
    pub(super) path: PathBuf,
    pub(super) segment_size: u64,
    pub(super) waiting: usize,
    pub(super) probe: bool,
    pub(super) medium: Arc<dyn Medium>,
}

impl DiskArchiveBuilder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            segment_size: 128 << 20,
            waiting: 4096,
            probe: true,
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
        background::run(move || DiskArchive::open_blocking(self)).await
    }
}
