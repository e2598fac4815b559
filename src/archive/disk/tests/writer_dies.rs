//! What becomes of the directory when the thread that writes to it dies.

use std::{any::Any, ffi::OsString, io, path::Path, sync::Arc};

use super::{
    super::{
        DiskArchiveBuilder,
        medium::{Medium, MediumFile},
        real_disk::RealDisk,
    },
    delivery,
};
use crate::archive::{Archive, ArchiveError, DiskArchive};

/// A disk on which making a file is the death of a thread.
#[derive(Debug)]
struct Deadly;

impl Medium for Deadly {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.create_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        RealDisk.list(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
        RealDisk.lock(path)
    }

    fn create(&self, _: &Path) -> io::Result<Box<dyn MediumFile>> {
        panic!("by the test")
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn MediumFile>> {
        RealDisk.open_append(path)
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn MediumFile>> {
        RealDisk.open_read(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.sync_dir(dir)
    }
}

#[tokio::test]
async fn the_directory_stays_locked_until_the_archive_is_closed_though_its_writer_has_died() {
    let dir = tempfile::tempdir().unwrap();
    let builder = DiskArchive::builder(dir.path()).probe(false).upkeep_every(None);
    let builder = DiskArchiveBuilder { medium: Arc::new(Deadly), ..builder };
    let archive = builder.open().await.unwrap();
    let lost = archive.append(delivery("/m", b"a")).await;
    assert!(matches!(lost, Err(ArchiveError::Closed)), "{lost:?}");
    // The queue is closed by the last that the thread does but for giving back what it holds.
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    let second = DiskArchive::open(dir.path()).await;
    assert!(matches!(second, Err(ArchiveError::Locked { .. })), "who changes files still may");
    archive.close().await;
    DiskArchive::open(dir.path()).await.unwrap();
}
