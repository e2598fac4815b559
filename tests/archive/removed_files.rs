//! The directory or a file in it is removed or renamed while the archive is open.
#![cfg(unix)]

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{Short, deliveries_in, delivery, segments};
use tower_inbox::{
    archive::{Archive, ArchiveError, DiskArchive},
    delivery::{Delivery, Outcome},
    testing::{Fault, FaultyDisk},
};

/// An archive with one delivery, in a directory that can be renamed.
struct Fixture {
    base: tempfile::TempDir,
    disk: FaultyDisk,
    archive: DiskArchive,
    first: Delivery,
}

impl Fixture {
    async fn new() -> Self {
        let (base, disk) = (tempfile::tempdir().unwrap(), FaultyDisk::new());
        let builder = DiskArchive::builder(base.path().join("inbox")).maintenance_interval(None);
        let archive = disk.open(builder).await.unwrap();
        let first = delivery("/m", b"first");
        let _ = archive.put(first.clone()).await.unwrap();
        Self { base, disk, archive, first }
    }

    fn dir(&self) -> PathBuf {
        self.base.path().join("inbox")
    }

    fn elsewhere(&self) -> PathBuf {
        self.base.path().join("elsewhere")
    }

    fn move_away(&self) {
        fs::rename(self.dir(), self.elsewhere()).unwrap();
    }

    fn move_back(&self) {
        fs::rename(self.elsewhere(), self.dir()).unwrap();
    }

    /// Asserts that nothing is acknowledged: no delivery, no repeat of an acknowledged one, and no outcome.
    async fn assert_refuses(&self) {
        let id = self.first.id();
        for _ in 0..2 {
            let error = self.archive.put(delivery("/m", b"refused")).await.unwrap_err();
            assert!(matches!(error, ArchiveError::Io { .. }), "{error:?}");
            let repeat = self.archive.put(delivery("/m", b"first")).await;
            assert!(repeat.is_err(), "a repeat was acknowledged, and nobody finds the first");
            assert!(self.archive.finish(id, Outcome::processed(200)).await.is_err());
        }
    }

    /// Opens another archive in the directory at the path.
    async fn open_another(&self) {
        let another = DiskArchive::open(self.dir()).await.unwrap();
        let _ = another.put(delivery("/m", b"of another")).await.unwrap();
        self.assert_refuses().await;
        another.close().await;
    }

    /// Closes the archive and returns the deliveries in a directory.
    async fn end(self, dir: &Path) -> Vec<Delivery> {
        self.archive.close().await;
        deliveries_in(dir).await
    }
}

#[tokio::test]
async fn removed_directory_is_refused_and_never_acknowledged_again() {
    let fixture = Fixture::new().await;
    let dir = fixture.dir();
    fs::remove_dir_all(&dir).unwrap();
    fixture.assert_refuses().await;
    fs::create_dir(&dir).unwrap();
    fixture.assert_refuses().await;
    fixture.open_another().await;
    let left = fixture.end(&dir).await;
    assert_eq!(left.len(), 1, "only that of the other archive: {left:?}");
}

#[tokio::test]
async fn renamed_directory_is_refused_until_it_is_renamed_back() {
    let fixture = Fixture::new().await;
    for round in 0..2 {
        fixture.move_away();
        fixture.assert_refuses().await;
        fixture.move_back();
        let back = delivery("/m", format!("back {round}").as_bytes());
        let _ = fixture.archive.put(back).await.unwrap();
        assert!(fixture.archive.put(delivery("/m", b"first")).await.unwrap().is_repeat());
    }
    let dir = fixture.dir();
    assert_eq!(segments(&dir).len(), 1, "it goes on in the same segment");
    assert_eq!(fixture.end(&dir).await.len(), 3);
}

#[tokio::test]
async fn renamed_directory_that_was_made_anew_is_refused() {
    let fixture = Fixture::new().await;
    fixture.move_away();
    fixture.open_another().await;
    let (dir, elsewhere) = (fixture.dir(), fixture.elsewhere());
    let first = fixture.first.clone();
    assert_eq!(deliveries_in(&dir).await.len(), 1);
    assert_eq!(fixture.end(&elsewhere).await, [first]);
}

/// Appends `second`, and runs `harm` between its write and the end of its sync. Returns true if it was acknowledged.
async fn during_sync(fixture: &Fixture, second: &Delivery, harm: impl FnOnce()) -> bool {
    fixture.disk.fail(Fault::HangingSync);
    let pending = fixture.archive.put(second.clone());
    while !fixture.disk.is_hanging() {
        tokio::task::yield_now().await;
    }
    harm();
    fixture.disk.heal();
    match pending.await {
        Ok(_) => true,
        Err(ArchiveError::Unsure(_)) => false,
        Err(error) => panic!("it was written, and is said not to be there: {error}"),
    }
}

#[tokio::test]
async fn directory_that_is_renamed_during_a_sync_is_not_acknowledged() {
    let fixture = Fixture::new().await;
    let second = delivery("/m", b"second");
    assert!(!during_sync(&fixture, &second, || fixture.move_away()).await);
    fixture.assert_refuses().await;
    fixture.move_back();
    assert!(!fixture.archive.put(second.clone()).await.unwrap().is_repeat());
    let dir = fixture.dir();
    assert_eq!(segments(&dir).len(), 1);
    let first = fixture.first.clone();
    assert_eq!(fixture.end(&dir).await, [first, second]);
}

#[tokio::test]
async fn directory_that_is_removed_during_a_sync_is_not_acknowledged() {
    let fixture = Fixture::new().await;
    let dir = fixture.dir();
    let harm = || fs::remove_dir_all(&dir).unwrap();
    assert!(!during_sync(&fixture, &delivery("/m", b"second"), harm).await);
    fixture.assert_refuses().await;
}

#[tokio::test]
async fn segment_that_was_removed_or_renamed_is_written_anew_and_loses_nothing() {
    for is_renamed in [false, true] {
        for is_during_sync in [false, true] {
            let fixture = Fixture::new().await;
            let (dir, second) = (fixture.dir(), delivery("/m", b"second"));
            let open = segments(&dir).remove(0);
            let harm = || {
                if is_renamed {
                    fs::rename(&open, fixture.base.path().join("taken")).unwrap();
                } else {
                    fs::remove_file(&open).unwrap();
                }
            };
            if is_during_sync {
                assert!(during_sync(&fixture, &second, harm).await, "a new file takes it");
            } else {
                harm();
                let _ = fixture.archive.put(second.clone()).await.unwrap();
            }
            assert!(!fixture.disk.was_misused());
            assert_eq!(segments(&dir), [open]);
            let first = fixture.first.clone();
            assert_eq!(fixture.end(&dir).await, [first, second]);
        }
    }
}

#[tokio::test]
async fn segment_that_was_replaced_is_left_alone_and_a_new_one_takes_the_batch() {
    let fixture = Fixture::new().await;
    let (dir, second) = (fixture.dir(), delivery("/m", b"second"));
    let open = segments(&dir).remove(0);
    fs::remove_file(&open).unwrap();
    fs::write(&open, "of somebody else").unwrap();
    let _ = fixture.archive.put(second.clone()).await.unwrap();
    assert_eq!(fs::read(&open).unwrap(), b"of somebody else");
    assert_eq!(segments(&dir).len(), 2);
    assert_eq!(fixture.archive.get(second.id()).await.unwrap().unwrap().delivery, second);
}

#[tokio::test]
async fn refused_deliveries_use_up_no_segment_number() {
    let sequence = |path: &Path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.split('-').next().unwrap().parse::<u64>().unwrap()
    };
    for fault in [Fault::ReadOnly, Fault::Unsynced] {
        let (dir, disk) = (tempfile::tempdir().unwrap(), FaultyDisk::new());
        let archive = disk.open(DiskArchive::builder(dir.path())).await.unwrap();
        disk.fail(fault);
        for _ in 0..5 {
            assert!(archive.put(delivery("/m", b"refused")).await.is_err());
        }
        disk.heal();
        let one = delivery("/m", b"one");
        let _ = archive.put(one.clone()).await.unwrap();
        assert!(!disk.was_misused());
        let numbers: Vec<_> = segments(dir.path()).iter().map(|path| sequence(path)).collect();
        assert_eq!(numbers, [1], "{fault:?}");
        drop(archive);
        assert_eq!(deliveries_in(dir.path()).await, [one]);
    }
}
