//! Reading an archive that is open for writing.

use std::{fs, time::Duration};

use super::{Short, all_in, delivery};
use tower_inbox::{
    archive::{Archive, ArchiveError, DiskArchive, Query},
    delivery::{Delivery, Outcome},
};

#[tokio::test]
async fn read_only_archive_reads_a_snapshot_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let archive = DiskArchive::builder(dir.path()).segment_size(1500).open().await.unwrap();
    let all: Vec<_> = (0..5).map(|n| delivery("/m", format!("{n}").as_bytes())).collect();
    for one in &all {
        let _ = archive.put(one.clone()).await.unwrap();
    }
    let torn = dir.path().join("00000004-0123456789abcdef.warc.open");
    fs::write(&torn, "WARC/1.1\r\nWARC-Ty").unwrap();
    let unfinished = dir.path().join("00000001-0123456789abcdef.warc.tmp");
    fs::write(&unfinished, "half").unwrap();

    let reading = DiskArchive::read_only(dir.path()).await.unwrap();
    let id = all[0].id();
    let processed = Outcome::processed(200);
    assert!(matches!(reading.finish(id, processed).await, Err(ArchiveError::ReadOnly { .. })));
    let refused = reading.put(delivery("/m", b"new")).await;
    assert!(matches!(refused, Err(ArchiveError::ReadOnly { .. })));
    let refused = reading.remove(Query::all()).await;
    assert!(matches!(refused, Err(ArchiveError::ReadOnly { .. })));
    let found: Vec<Delivery> =
        all_in(reading).await.into_iter().map(|archived| archived.delivery).collect();
    assert_eq!(found, all);
    assert!(torn.exists() && unfinished.exists(), "a reader changes no file");
    let _ = archive.put(delivery("/m", b"new")).await.unwrap();
}

#[tokio::test]
async fn a_reader_goes_on_while_segments_are_written_anew_beneath_it() {
    let dir = tempfile::tempdir().unwrap();
    let builder = DiskArchive::builder(dir.path()).segment_size(3000).maintenance_interval(None);
    let archive = builder.compress_after(Duration::ZERO).open().await.unwrap();
    let all: Vec<_> = (0..20).map(|n| delivery("/m", format!("{n}").as_bytes())).collect();
    for one in &all {
        let _ = archive.put(one.clone()).await.unwrap();
    }
    let reading = DiskArchive::read_only(dir.path()).await.unwrap();
    archive.remove(Query::all().id(all[7].id())).await.unwrap();
    archive.maintain_now().await.unwrap();
    for (at, one) in all.iter().enumerate() {
        for archive in [&archive, &reading] {
            let found = archive.get(one.id()).await.unwrap().map(|archived| archived.delivery);
            assert_eq!(found.as_ref(), Some(one).filter(|_| at != 7), "number {at}");
        }
    }
}

#[tokio::test]
async fn scan_finds_all_remaining_deliveries_while_earlier_ones_are_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let builder = DiskArchive::builder(dir.path()).segment_size(3000).maintenance_interval(None);
    let archive = builder.ledger_retention(Duration::ZERO).open().await.unwrap();
    let mut all = Vec::new();
    for number in 0..40 {
        let one = delivery("/m", format!("{number}").as_bytes());
        let _ = archive.put(one.clone()).await.unwrap();
        archive.finish(one.id(), Outcome::processed(200)).await.unwrap();
        all.push(one);
    }
    let reading = DiskArchive::read_only(dir.path()).await.unwrap();
    let mut scan = reading.scan(Query::all());
    // The scan reads only a few deliveries ahead.
    assert_eq!(scan.next().await.unwrap().unwrap().delivery, all[0]);
    for one in &all[..20] {
        archive.remove(Query::all().id(one.id())).await.unwrap();
    }
    archive.maintain_now().await.unwrap();
    assert!(archive.stats().await.unwrap().removed < 5, "nothing was forgotten");
    let mut found = Vec::new();
    while let Some(entry) = scan.next().await {
        found.push(entry.unwrap().delivery.id());
    }
    assert!(found.len() < 30, "all was read ahead");
    let stay: Vec<_> = all[20..].iter().map(Delivery::id).collect();
    assert_eq!(found[found.len() - 20..], stay);
}

#[tokio::test]
async fn where_there_is_no_archive_a_reader_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let error = DiskArchive::read_only(dir.path().join("nowhere")).await.unwrap_err();
    assert!(
        matches!(&error, ArchiveError::Io { path, .. } if path.ends_with("nowhere")),
        "{error}"
    );
}
