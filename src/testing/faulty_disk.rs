use std::sync::Arc;

use super::{Fault, fault::Faults};
use crate::archive::{ArchiveError, DiskArchive, DiskArchiveBuilder};

/// The disk of this machine, with faults on demand. Its clones share them.
///
/// ```
/// use tower_inbox::{Archive, DiskArchive, archive::Append, testing::{Fault, FaultyDisk, Sample}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("inbox");
/// let disk = FaultyDisk::new();
/// let archive = disk.open(DiskArchive::builder(&path)).await?;
/// disk.fail(Fault::Full { room: 100 });
/// assert!(archive.append(Append::new(Sample::of("/m").delivery())).await.is_err());
/// disk.heal();
/// assert!(archive.append(Append::new(Sample::of("/m").delivery())).await.is_ok());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct FaultyDisk(pub(super) Arc<Faults>);

impl FaultyDisk {
    /// A disk without faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens an archive on this disk.
    ///
    /// # Errors
    ///
    /// As those of [`DiskArchive::open`].
    pub async fn open(&self, archive: DiskArchiveBuilder) -> Result<DiskArchive, ArchiveError> {
        archive.medium(Arc::new(self.clone())).open().await
    }

    /// Goes wrong like this from now on.
    pub fn fail(&self, fault: Fault) {
        self.0.set(Some(fault));
    }

    /// Goes well from now on.
    pub fn heal(&self) {
        self.0.set(None);
    }

    /// What it does wrong at the moment. What concerns one call is over once it has happened.
    pub fn fault_now(&self) -> Option<Fault> {
        self.0.now()
    }

    /// Whether a call hangs at the moment.
    pub fn is_hanging(&self) -> bool {
        self.0.is_hanging()
    }

    /// Whether a file was written or synced after a sync of it had failed. No archive may do so: that sync would
    /// succeed, and mean nothing.
    pub fn was_misused(&self) -> bool {
        self.0.was_misused()
    }

    /// How many bytes it says are free, where it does not ask the disk.
    pub(super) fn free(&self) -> Option<u64> {
        match self.fault_now() {
            Some(Fault::Free { bytes }) => Some(bytes),
            _ => None,
        }
    }
}
