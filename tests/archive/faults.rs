use std::fs;

use super::{Short, all_in, deliveries_in, delivery, segments, stride};
use tower_inbox::{
    archive::{Archive, ArchiveError, DiskArchive},
    delivery::{Delivery, Outcome},
    testing::{Fault, FaultyDisk},
};

#[tokio::test]
async fn receipts_hold_and_appends_continue_after_every_failing_call() {
    for after in (0..).step_by(stride(5)) {
        let dir = tempfile::tempdir().unwrap();
        let disk = FaultyDisk::new();
        disk.fail(Fault::OneCall { after });
        let acknowledged = work_through(&disk, dir.path()).await;
        let happened = disk.fault_now().is_none();
        assert!(!disk.was_misused(), "call {after}");
        let kept = deliveries_in(dir.path()).await;
        for delivery in &acknowledged {
            assert!(kept.contains(delivery), "call {after} lost a delivery that had a receipt");
        }
        if !happened {
            assert!(after > 20, "only {after} calls");
            break;
        }
    }
}

/// Opens, appends and settles over several segments while one call fails: at most one step may fail because of it.
async fn work_through(disk: &FaultyDisk, path: &std::path::Path) -> Vec<Delivery> {
    let open = || disk.open(DiskArchive::builder(path).segment_size(1500));
    let mut acknowledged = Vec::new();
    let mut failures = 0;
    for round in 0..2 {
        let first = open().await;
        failures += usize::from(first.is_err());
        let archive = if let Ok(archive) = first { archive } else { open().await.unwrap() };
        for number in 0..4 {
            let delivery = delivery("/m", format!("{round} {number}").as_bytes());
            match archive.put(delivery.clone()).await {
                Ok(_) => acknowledged.push(delivery.clone()),
                Err(_) => failures += 1,
            }
            match archive.finish(delivery.id(), Outcome::processed(200)).await {
                Ok(()) | Err(ArchiveError::Unknown { .. }) => {}
                Err(_) => failures += 1,
            }
        }
    }
    assert!(failures <= 1, "one call that fails made {failures} steps fail");
    acknowledged
}

#[tokio::test]
async fn a_batch_whose_sync_failed_goes_to_a_new_segment() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), FaultyDisk::new());
    let archive = disk.open(DiskArchive::builder(dir.path())).await.unwrap();
    let (a, b) = (delivery("/m", b"a"), delivery("/m", b"b"));
    let _ = archive.put(a.clone()).await.unwrap();
    let good = fs::metadata(&segments(dir.path())[0]).unwrap().len();
    // The write succeeds, the sync fails.
    disk.fail(Fault::OneCall { after: 1 });
    let _ = archive.put(b.clone()).await.unwrap();
    assert!(!disk.was_misused());
    let files = segments(dir.path());
    assert_eq!(files.len(), 2);
    assert_eq!(fs::metadata(&files[0]).unwrap().len(), good, "nothing unsynced is left");
    assert_eq!(archive.get(b.id()).await.unwrap().unwrap().delivery, b);
    drop(archive);
    assert_eq!(deliveries_in(dir.path()).await, [a, b]);
}

#[tokio::test]
async fn a_new_segment_whose_first_sync_failed_leaves_no_file() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), FaultyDisk::new());
    let archive = disk.open(DiskArchive::builder(dir.path())).await.unwrap();
    // Creating the file, syncing the directory and writing succeed.
    disk.fail(Fault::OneCall { after: 3 });
    let _ = archive.put(delivery("/m", b"a")).await.unwrap();
    assert_eq!(disk.fault_now(), None);
    assert_eq!(segments(dir.path()).len(), 1);
}

#[tokio::test]
async fn nothing_is_acknowledged_while_no_sync_succeeds() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), FaultyDisk::new());
    let archive = disk.open(DiskArchive::builder(dir.path())).await.unwrap();
    let a = delivery("/m", b"a");
    let _ = archive.put(a.clone()).await.unwrap();
    disk.fail(Fault::Unsynced);
    let b = delivery("/m", b"b");
    for _ in 0..5 {
        // Data that was written but not synced may reappear after a power failure. Data that was not written does not.
        let failed = archive.put(b.clone()).await;
        let is_told = matches!(failed, Err(ArchiveError::Unsure(_) | ArchiveError::Io { .. }));
        assert!(is_told, "{failed:?}");
        assert!(archive.finish(a.id(), Outcome::failed("")).await.is_err());
        assert_eq!(archive.outcome(a.id()).await.unwrap(), None);
        assert!(archive.get(b.id()).await.unwrap().is_none());
    }
    assert_eq!(segments(dir.path()).len(), 1, "attempts that failed leave no files");
    disk.heal();
    let receipt = archive.put(b.clone()).await.unwrap();
    assert!(!receipt.is_repeat(), "what was never durable is no first");
    assert!(!disk.was_misused());
    drop(archive);
    assert_eq!(deliveries_in(dir.path()).await, [a, b]);
}

#[tokio::test]
async fn a_full_disk_is_an_error_until_there_is_room() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), FaultyDisk::new());
    let archive = disk.open(DiskArchive::builder(dir.path())).await.unwrap();
    let (a, b) = (delivery("/m", b"a"), delivery("/m", b"b"));
    let _ = archive.put(a.clone()).await.unwrap();
    let segment = segments(dir.path()).remove(0);
    let good = fs::metadata(&segment).unwrap().len();
    for room in [0, 1, 100, 500] {
        disk.fail(Fault::Full { room });
        let error = archive.put(b.clone()).await.unwrap_err();
        let ArchiveError::Io { action: "write", path, source, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!(source.kind(), std::io::ErrorKind::StorageFull);
        assert_eq!(*path, segment);
        assert_eq!(fs::metadata(&segment).unwrap().len(), good, "half a batch is left");
        assert_eq!(archive.get(a.id()).await.unwrap().unwrap().delivery, a, "reading goes on");
    }
    disk.heal();
    let _ = archive.put(b.clone()).await.unwrap();
    assert_eq!(segments(dir.path()), [segment]);
    assert_eq!(all_in(archive).await.len(), 2);
    assert_eq!(deliveries_in(dir.path()).await, [a, b]);
}

#[tokio::test]
async fn a_disk_that_cannot_be_written_is_an_error_until_it_can() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), FaultyDisk::new());
    let archive = disk.open(DiskArchive::builder(dir.path())).await.unwrap();
    let (a, b) = (delivery("/m", b"a"), delivery("/m", b"b"));
    let _ = archive.put(a.clone()).await.unwrap();
    disk.fail(Fault::ReadOnly);
    for _ in 0..3 {
        let error = archive.put(b.clone()).await.unwrap_err();
        assert!(std::error::Error::source(&error).is_some(), "{error}");
    }
    disk.heal();
    let _ = archive.put(b.clone()).await.unwrap();
    drop(archive);
    assert_eq!(deliveries_in(dir.path()).await, [a, b]);
}

#[tokio::test]
async fn every_command_of_a_batch_that_failed_gets_the_error() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), FaultyDisk::new());
    let archive = disk.open(DiskArchive::builder(dir.path())).await.unwrap();
    disk.fail(Fault::Full { room: 700 });
    let work: Vec<_> =
        (0..50).map(|n| archive.put(delivery("/m", format!("{n}").as_bytes()))).collect();
    for work in work {
        assert!(matches!(work.await, Err(ArchiveError::Io { .. })));
    }
    drop(archive);
    assert!(deliveries_in(dir.path()).await.is_empty());
}
