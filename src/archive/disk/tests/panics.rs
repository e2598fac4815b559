//! Behavior of an archive after a panic in one of its threads.

use std::{
    any::Any,
    ffi::OsString,
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::{append, delivery, logged};
use crate::archive::{
    Append, Archive, ArchiveError, DiskArchive, Query,
    disk::{
        DiskArchiveBuilder,
        fs::{
            file_system::{DiskFile, FileSystem},
            real_disk::RealDisk,
        },
    },
};

/// A disk that panics on the next calls of a given kind.
#[derive(Debug, Default)]
struct Panicking {
    creates: AtomicUsize,
    lists: AtomicUsize,
    reads: AtomicUsize,
}

/// Panics if a panic is pending.
fn panic_once(to_come: &AtomicUsize) {
    let (set, fetch) = (Ordering::SeqCst, Ordering::SeqCst);
    let next = to_come.fetch_update(set, fetch, |left| left.checked_sub(1));
    assert!(next.is_err(), "by the test");
}

impl FileSystem for Panicking {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.create_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        panic_once(&self.lists);
        RealDisk.list(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
        RealDisk.lock(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        panic_once(&self.creates);
        RealDisk.create(path)
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        RealDisk.open_append(path)
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        panic_once(&self.reads);
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

async fn open(dir: &Path, every: Option<Duration>) -> (Arc<Panicking>, DiskArchive) {
    let disk = Arc::new(Panicking::default());
    let builder = DiskArchive::builder(dir).probe(false).maintenance_interval(every);
    let builder = DiskArchiveBuilder { fs: Arc::clone(&disk) as Arc<dyn FileSystem>, ..builder };
    (disk, builder.segment_size(1).open().await.unwrap())
}

#[tokio::test]
async fn directory_stays_locked_until_the_archive_is_closed_though_its_writer_has_panicked() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, archive) = open(dir.path(), None).await;
    disk.creates.store(1, Ordering::SeqCst);
    let lost = append(&archive, &delivery("/m", b"a")).await;
    assert!(matches!(lost, Err(ArchiveError::Unsure(_))), "{lost:?}");
    let second = DiskArchive::open(dir.path()).await;
    assert!(matches!(second, Err(ArchiveError::Locked { .. })), "maintenance may still run");
    archive.close().await;
    DiskArchive::open(dir.path()).await.unwrap();
}

#[tokio::test]
async fn after_a_panic_of_the_writer_every_command_is_refused_and_reading_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, archive) = open(dir.path(), None).await;
    let kept = delivery("/m", b"kept");
    let _ = append(&archive, &kept).await.unwrap();
    disk.creates.store(1, Ordering::SeqCst);
    let waiting: Vec<_> =
        (0..50_u8).map(|n| archive.append(Append::new(delivery("/m", &[n])))).collect();
    for answer in waiting {
        assert!(matches!(answer.await, Err(ArchiveError::Unsure(_) | ArchiveError::Closed)));
    }
    for n in 0..3_u8 {
        let later = append(&archive, &delivery("/m", &[n])).await;
        assert!(matches!(later, Err(ArchiveError::Closed)), "{later:?}");
    }
    let removal = archive.remove(Query::all()).await;
    assert!(matches!(removal, Err(ArchiveError::Closed)), "{removal:?}");
    assert_eq!(archive.get(kept.id()).await.unwrap().unwrap().delivery, kept);
}

#[tokio::test]
async fn scan_and_get_that_panic_end_with_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, archive) = open(dir.path(), None).await;
    let ids = ["a", "b"].map(|body| delivery("/m", body.as_bytes()));
    for one in &ids {
        let _ = append(&archive, one).await.unwrap();
    }
    disk.reads.store(1, Ordering::SeqCst);
    let mut scan = archive.scan(Query::all());
    assert!(matches!(scan.next().await, Some(Err(ArchiveError::Incomplete))));
    assert!(scan.next().await.is_none());
    disk.reads.store(1, Ordering::SeqCst);
    assert!(matches!(archive.get(ids[0].id()).await, Err(ArchiveError::Other(_))));
    assert!(archive.get(ids[0].id()).await.unwrap().is_some());
}

#[test]
fn panic_is_logged_with_its_task_and_location() {
    let panics = || -> () { panic!("by the test") };
    let log = logged(|| {
        assert!(crate::supervise::catch_and_report("archive-maintenance", panics).is_none());
    });
    assert!(log.contains("archive-maintenance") && log.contains("tests/panics.rs:"), "{log}");
}

#[tokio::test]
async fn maintenance_goes_on_after_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, archive) = open(dir.path(), Some(Duration::from_millis(1))).await;
    disk.lists.store(3, Ordering::SeqCst);
    let _ = append(&archive, &delivery("/m", b"a")).await.unwrap();
    let has_index = || {
        let mut files = std::fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().path());
        files.any(|path| path.extension().is_some_and(|extension| extension == "idx"))
    };
    while !has_index() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(disk.lists.load(Ordering::SeqCst), 0, "it did panic");
}
