//! Readers next to a writer that seals, compresses, removes and forgets the segments they read.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{Short, delivery};
use tower_inbox::{
    archive::{Archive, DiskArchive, Query},
    delivery::{DeliveryId, Outcome},
};

/// The deliveries that the writer has archived and will not remove, and whether it has ended.
#[derive(Clone, Default)]
struct Writing {
    staying: Arc<Mutex<Vec<DeliveryId>>>,
    over: Arc<AtomicBool>,
}

impl Writing {
    fn staying(&self) -> Vec<DeliveryId> {
        self.staying.lock().unwrap().clone()
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }
}

/// Opens an archive with small segments that maintenance seals, compresses and forgets immediately. Some segments
/// contain only removed deliveries.
async fn open(path: &Path) -> DiskArchive {
    let builder = DiskArchive::builder(path).segment_size(3200).maintenance_interval(None);
    let builder = builder.segment_age(Duration::ZERO).compress_after(Duration::ZERO);
    builder.ledger_retention(Duration::ZERO).open().await.unwrap()
}

async fn write(archive: DiskArchive, writing: Writing) {
    let mut leaving = Vec::new();
    for round in 0..25 {
        // Remove deliveries of the previous round, which readers have seen by now.
        let left = std::mem::take(&mut leaving);
        for number in 0..6 {
            let one = delivery("/m", format!("{round} {number}").as_bytes());
            let _ = archive.put(one.clone()).await.unwrap();
            archive.finish(one.id(), Outcome::processed(200)).await.unwrap();
            // In odd rounds, all deliveries are removed later, so that some segments keep none.
            if number == 0 && round % 2 == 0 {
                writing.staying.lock().unwrap().push(one.id());
            } else {
                leaving.push(one.id());
            }
        }
        for (at, id) in left.into_iter().enumerate() {
            assert_eq!(archive.remove(Query::all().id(id)).await.unwrap(), 1);
            if at == 2 {
                archive.maintain_now().await.unwrap();
            }
        }
        archive.maintain_now().await.unwrap();
    }
    // More than 130 were removed. Ledger entries in a segment with a remaining delivery are kept.
    let remembered = archive.stats().await.unwrap().removed;
    writing.over.store(true, Ordering::SeqCst);
    assert!(remembered < 100, "{remembered} are remembered: hardly any was forgotten");
}

/// Asserts that a scan succeeds, and that it finds every delivery that was archived before it and is not removed.
async fn assert_all_there(archive: &DiskArchive, staying: &[DeliveryId]) {
    let mut scan = archive.scan(Query::all());
    let mut found = HashSet::new();
    while let Some(entry) = scan.next().await {
        assert!(found.insert(entry.unwrap().delivery.id()), "it was found twice");
        // Give the writer time to change the segments during the scan.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut lines = archive.ledger(Query::all());
    let mut listed = HashSet::new();
    while let Some(line) = lines.next().await {
        listed.insert(line.unwrap().id);
    }
    for id in staying {
        assert!(found.contains(id), "a scan misses one that stays");
        assert!(listed.contains(id), "the ledger misses one that stays");
        assert!(archive.get(*id).await.unwrap().is_some(), "one that stays is not found");
    }
}

/// Scans repeatedly, like another process, several times with each read-only archive.
async fn read_beside(path: PathBuf, writing: Writing) -> usize {
    let mut times = 0;
    while !writing.is_over() {
        let staying = writing.staying();
        let reading = DiskArchive::read_only(&path).await.unwrap();
        for _ in 0..5 {
            assert_all_there(&reading, &staying).await;
        }
        times += 1;
    }
    times
}

async fn read_within(archive: DiskArchive, writing: Writing) -> usize {
    let mut times = 0;
    while !writing.is_over() {
        assert_all_there(&archive, &writing.staying()).await;
        times += 1;
    }
    times
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_miss_nothing_that_stays_while_all_else_is_appended_sealed_packed_and_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let archive = open(dir.path()).await;
    let writing = Writing::default();
    let beside = tokio::spawn(read_beside(dir.path().to_owned(), writing.clone()));
    let within = tokio::spawn(read_within(archive.clone(), writing.clone()));
    write(archive, writing).await;
    let (beside, within) = (beside.await.unwrap(), within.await.unwrap());
    assert!(beside > 3 && within > 3, "{beside} and {within} times");
}

#[cfg(unix)]
#[tokio::test]
async fn archive_whose_lock_file_was_deleted_or_replaced_writes_nothing_any_more() {
    for is_replaced in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let builder = || DiskArchive::builder(dir.path()).maintenance_interval(None);
        let first = builder().open().await.unwrap();
        let one = delivery("/m", b"before");
        let _ = first.put(one.clone()).await.unwrap();
        std::fs::remove_file(dir.path().join("inbox.lock")).unwrap();
        // Another process can now lock the archive.
        let second = if is_replaced { Some(builder().open().await.unwrap()) } else { None };
        for _ in 0..2 {
            let error = first.put(delivery("/m", b"behind")).await.unwrap_err();
            let source = std::error::Error::source(&error).unwrap().to_string();
            assert!(source.contains("lock file was deleted or replaced"), "{source}");
            assert!(first.finish(one.id(), Outcome::processed(200)).await.is_err());
            assert!(first.maintain_now().await.is_err());
        }
        if let Some(second) = second {
            let _ = second.put(delivery("/m", b"of the second")).await.unwrap();
            second.close().await;
        }
        first.close().await;
        drop(first);
        let expected = if is_replaced { 2 } else { 1 };
        assert_eq!(super::deliveries_in(dir.path()).await.len(), expected);
    }
}
