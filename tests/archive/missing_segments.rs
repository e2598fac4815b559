//! Missing, empty and foreign segments: they are reported, and maintenance does not remove the evidence.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Short, delivery, readable_in, segments};
use tower_inbox::{
    archive::{Archive, ArchiveError, DiskArchive, DiskArchiveBuilder, Query, Verification},
    testing::{Fault, FaultyDisk},
};

/// Small segments. Maintenance runs only on request, and compresses and forgets without delay.
fn builder(path: &Path) -> DiskArchiveBuilder {
    let builder = DiskArchive::builder(path).segment_size(2000).maintenance_interval(None);
    builder.compress_after(Duration::ZERO).ledger_retention(Duration::ZERO)
}

async fn maintain(path: &Path) {
    let archive = builder(path).open().await.unwrap();
    archive.maintain_now().await.unwrap();
    archive.close().await;
}

/// Creates at least five segments, the last one active, with index files and a manifest if `is_maintained`.
async fn filled(path: &Path, is_maintained: bool) -> Vec<PathBuf> {
    let archive = builder(path).compress_after(None).open().await.unwrap();
    for letter in b'a'..=b'k' {
        let _ = archive.put(delivery("/m", &[letter; 700])).await.unwrap();
    }
    if is_maintained {
        archive.maintain_now().await.unwrap();
    }
    archive.close().await;
    let files = segments(path);
    assert!(files.len() >= 5, "{files:?}");
    files
}

async fn verify(path: &Path) -> Verification {
    DiskArchive::verify(path, |_, _| {}).await.unwrap()
}

/// Returns the file name, which begins with the segment number, and the reason of each damage that `verify` reports.
async fn reported(path: &Path) -> Vec<(String, &'static str)> {
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let damages = verify(path).await.damages;
    damages.iter().map(|damage| (name(&damage.path), damage.reason)).collect()
}

fn number(path: &Path) -> u64 {
    let name = path.file_name().unwrap().to_str().unwrap();
    name.split('-').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn missing_segment_is_reported_until_it_is_put_back() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let sealed = filled(dir, true).await.len() - 1;
    assert!(verify(dir).await.is_sound());
    for at in 0..sealed {
        let lost = segments(dir).remove(at);
        let bytes = fs::read(&lost).unwrap();
        fs::remove_file(&lost).unwrap();
        for _ in 0..2 {
            let damages = verify(dir).await.damages;
            assert_eq!(damages.len(), 1, "{damages:?}");
            assert_eq!(number(&damages[0].path), number(&lost));
            assert_eq!(damages[0].reason, "the segment is missing");
            assert_eq!(readable_in(dir).await.1, 1, "opening reports it as damage");
            maintain(dir).await;
        }
        fs::write(&lost, bytes).unwrap();
        assert!(verify(dir).await.is_sound());
    }
    maintain(dir).await;
    assert_eq!((readable_in(dir).await.0.len(), readable_in(dir).await.1), (11, 0));
}

#[tokio::test]
async fn segment_that_is_put_back_under_a_server_is_left_alone_and_read_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    filled(dir, true).await;
    let lost = segments(dir).remove(1);
    let bytes = fs::read(&lost).unwrap();
    for path in [lost.clone(), lost.with_extension("idx"), dir.join("inbox.manifest")] {
        fs::remove_file(path).unwrap();
    }
    let archive = builder(dir).open().await.unwrap();
    fs::write(&lost, &bytes).unwrap();
    for _ in 0..2 {
        archive.maintain_now().await.unwrap();
    }
    archive.close().await;
    assert_eq!(fs::read(&lost).unwrap(), bytes, "it is not compressed");
    assert_eq!(readable_in(dir).await.0.len(), 11);
}

#[tokio::test]
async fn health_counts_missing_segments() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    filled(dir, true).await;
    let archive = builder(dir).open().await.unwrap();
    assert_eq!(archive.health().await.unwrap().missing, Some(0));
    for lost in segments(dir).iter().take(2) {
        fs::remove_file(lost).unwrap();
    }
    archive.maintain_now().await.unwrap();
    assert_eq!(archive.health().await.unwrap().missing, Some(2), "maintenance looks for them");
    archive.close().await;
    let archive = builder(dir).open().await.unwrap();
    assert_eq!(archive.health().await.unwrap().missing, Some(2), "and so does opening");
}

#[tokio::test]
async fn missing_newest_segment_keeps_its_number() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let mut files = filled(dir, true).await;
    // The active segment, and the last sealed one.
    let (open, lost) = (files.pop().unwrap(), files.pop().unwrap());
    assert!(open.extension().unwrap() == "open" && lost.extension().unwrap() == "warc");
    fs::remove_file(&open).unwrap();
    fs::remove_file(&lost).unwrap();
    let archive = builder(dir).open().await.unwrap();
    let _ = archive.put(delivery("/m", b"new")).await.unwrap();
    archive.close().await;
    assert_eq!(number(&segments(dir).pop().unwrap()), number(&lost) + 1);
    assert_eq!(verify(dir).await.damages.len(), 1);
}

#[tokio::test]
async fn gap_in_the_numbers_is_reported_without_a_manifest() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let files = filled(dir, false).await;
    assert!(!dir.join("inbox.manifest").exists());
    fs::remove_file(&files[1]).unwrap();
    fs::remove_file(&files[2]).unwrap();
    let [(name, reason)] = &reported(dir).await[..] else { panic!() };
    assert_eq!(name, "{00000002..00000003}-*.warc");
    assert!(reason.contains("missing"), "{reason}");
    let archive = DiskArchive::read_only(dir).await.unwrap();
    let mut entries = archive.scan(Query::all());
    let mut damages = 0;
    while let Some(entry) = entries.next().await {
        damages += usize::from(matches!(entry, Err(ArchiveError::Damaged { .. })));
    }
    assert_eq!(damages, 1);
    // Opening for writing creates a manifest of the existing segments.
    maintain(dir).await;
    assert!(verify(dir).await.is_sound());
}

#[tokio::test]
async fn segment_of_another_archive_is_reported_and_left_alone() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let dir = dir.path();
    filled(dir, true).await;
    let foreign = filled(other.path(), true).await.remove(1);
    let copy = dir.join(foreign.file_name().unwrap());
    fs::copy(&foreign, &copy).unwrap();
    for _ in 0..2 {
        let damages = verify(dir).await.damages;
        assert_eq!((damages.len(), number(&damages[0].path)), (1, 2), "{damages:?}");
        assert!(damages[0].reason.contains("another archive"), "{damages:?}");
        maintain(dir).await;
    }
}

#[tokio::test]
async fn forgotten_segments_are_not_missing_and_their_numbers_are_not_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let last = number(filled(dir, true).await.last().unwrap());
    let archive = builder(dir).open().await.unwrap();
    assert_eq!(archive.remove(Query::all()).await.unwrap(), 11);
    archive.maintain_now().await.unwrap();
    assert!(segments(dir).is_empty(), "{:?}", segments(dir));
    assert!(verify(dir).await.is_sound());
    archive.close().await;
    let archive = builder(dir).open().await.unwrap();
    let one = delivery("/m", b"new");
    let _ = archive.put(one.clone()).await.unwrap();
    archive.close().await;
    assert!(number(&segments(dir)[0]) > last);
    maintain(dir).await;
    assert!(verify(dir).await.is_sound());
    assert_eq!(readable_in(dir).await, (vec![one], 0));
}

/// Interrupts forgetting at each call, as a kill does: no later call changes anything.
#[tokio::test]
async fn forgotten_segment_is_not_missing_whenever_forgetting_is_interrupted() {
    for after in 0.. {
        let (dir, disk) = (tempfile::tempdir().unwrap(), FaultyDisk::new());
        let dir = dir.path();
        let archive = disk.open(builder(dir)).await.unwrap();
        for number in 0..3 {
            let body = format!("{number}").repeat(1500);
            let _ = archive.put(delivery("/m", body.as_bytes())).await.unwrap();
        }
        archive.maintain_now().await.unwrap();
        assert_eq!(archive.remove(Query::all()).await.unwrap(), 3);
        disk.fail(Fault::From { after });
        let is_interrupted = archive.maintain_now().await.is_err();
        archive.close().await;
        drop(archive);
        disk.heal();
        assert!(verify(dir).await.is_sound(), "call {after}: {:?}", reported(dir).await);
        maintain(dir).await;
        assert!(verify(dir).await.is_sound(), "call {after}: {:?}", reported(dir).await);
        assert!(segments(dir).len() <= 1, "{:?}", segments(dir));
        if !is_interrupted {
            assert!(after > 10, "only {after} calls");
            break;
        }
    }
}

#[tokio::test]
async fn emptied_segment_is_reported_and_maintenance_leaves_it_as_it_is() {
    for (is_maintained, is_packed) in [(false, false), (true, false), (true, true)] {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        filled(dir, is_maintained).await;
        if is_packed {
            maintain(dir).await;
        }
        let emptied = segments(dir).remove(1);
        fs::write(&emptied, "").unwrap();
        let before = reported(dir).await;
        assert!(!before.is_empty());
        for _ in 0..2 {
            assert_eq!(readable_in(dir).await.1, 1);
            maintain(dir).await;
            assert_eq!(fs::metadata(&emptied).unwrap().len(), 0, "it was removed or written anew");
            assert_eq!(reported(dir).await, before);
        }
    }
}

#[tokio::test]
async fn segment_that_is_emptied_while_the_archive_is_open_is_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    filled(dir, false).await;
    let archive = builder(dir).open().await.unwrap();
    let emptied = segments(dir).remove(1);
    fs::write(&emptied, "").unwrap();
    archive.maintain_now().await.unwrap();
    archive.maintain_now().await.unwrap();
    assert_eq!(fs::metadata(&emptied).unwrap().len(), 0);
    assert!(!verify(dir).await.is_sound());
}

#[tokio::test]
async fn empty_segment_that_was_never_sealed_is_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let archive = builder(dir).open().await.unwrap();
    let one = delivery("/m", b"one");
    let _ = archive.put(one.clone()).await.unwrap();
    archive.close().await;
    // As if the first segment could not be removed after the sync of its first batch failed.
    let first = segments(dir).remove(0);
    let second = first.to_str().unwrap().replace("00000001-", "00000002-");
    fs::rename(&first, second).unwrap();
    fs::write(dir.join("00000001-0123456789abcdef.warc.open"), "").unwrap();
    for _ in 0..2 {
        maintain(dir).await;
        assert!(verify(dir).await.is_sound(), "{:?}", reported(dir).await);
        assert_eq!(readable_in(dir).await, (vec![one.clone()], 0));
    }
}

#[tokio::test]
async fn directory_that_is_no_archive_cannot_be_verified() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("notes.txt"), "no archive").unwrap();
    let error = DiskArchive::verify(dir.path(), |_, _| {}).await.unwrap_err();
    assert!(
        matches!(&error, ArchiveError::NotAnArchive { path, .. } if path == dir.path()),
        "{error}"
    );
    DiskArchive::open(dir.path()).await.unwrap().close().await;
    assert!(verify(dir.path()).await.is_sound(), "an archive in which nothing was stored yet");
}

#[tokio::test]
async fn damaged_manifest_is_reported_and_put_aside() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    filled(dir, true).await;
    let path = dir.join("inbox.manifest");
    for damage in [&b""[..], b"inbox-manifest 1\nsegment 00000001-0123456789abcdef\n", b"\xff\xfe"]
    {
        fs::write(&path, damage).unwrap();
        let damages = verify(dir).await.damages;
        assert_eq!((damages.len(), &damages[0].path), (1, &path), "{damages:?}");
        maintain(dir).await;
        assert!(verify(dir).await.is_sound());
        assert_eq!(fs::read(dir.join("inbox.manifest.damaged")).unwrap(), damage);
    }
}
