//! Backups of an archive while a server writes to it, and later operations on them.

use std::{
    collections::{HashMap, HashSet},
    fs,
    io::Read,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use flate2::read::MultiGzDecoder;

use super::{Short, deliveries_in, delivery, long_tests, segments};
use tower_inbox::{
    archive::{Archive, ArchiveError, Backup, DiskArchive, DiskArchiveBuilder, Query, Restored},
    delivery::{Delivery, DeliveryId, Outcome, StateKind},
};

/// Small segments, without automatic maintenance.
fn builder(path: &Path) -> DiskArchiveBuilder {
    DiskArchive::builder(path).segment_size(3000).maintenance_interval(None)
}

async fn back_up(from: &Path, to: &Path) -> Backup {
    DiskArchive::backup(from, to, |_, _| {}).await.unwrap()
}

async fn restore(from: &Path, to: &Path) -> Result<Restored, ArchiveError> {
    DiskArchive::restore(from, to, |_, _| {}).await
}

fn reason(error: &ArchiveError) -> String {
    let source = std::error::Error::source(error).map(ToString::to_string);
    format!("{error}: {}", source.unwrap_or_default())
}

async fn filled(archive: &DiskArchive) -> Vec<Delivery> {
    let mut all = Vec::new();
    for number in 0..13 {
        let one = delivery("/m", format!("the body of number {number}.").as_bytes());
        let _ = archive.put(one.clone()).await.unwrap();
        archive.finish(one.id(), Outcome::processed(200)).await.unwrap();
        all.push(one);
    }
    all
}

/// Returns true if a file of the directory contains this text, plain or compressed.
fn holds(path: &Path, needle: &str) -> bool {
    fs::read_dir(path).unwrap().any(|file| {
        let mut bytes = fs::read(file.unwrap().path()).unwrap();
        if bytes.starts_with(&[0x1f, 0x8b]) {
            let mut unpacked = Vec::new();
            MultiGzDecoder::new(&*bytes).read_to_end(&mut unpacked).unwrap();
            bytes = unpacked;
        }
        bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
    })
}

/// The deliveries that a writer has processed, and those that it has removed again.
#[derive(Clone, Default)]
struct Writing {
    processed: Arc<Mutex<Vec<DeliveryId>>>,
    removed: Arc<Mutex<Vec<DeliveryId>>>,
    is_over: Arc<AtomicBool>,
}

/// Appends and processes deliveries, and removes two of three, until `is_over` is set.
async fn write(archive: DiskArchive, writing: Writing, writer: u32) {
    let mut number = 0;
    while !writing.is_over.load(Ordering::SeqCst) {
        number += 1;
        tokio::time::sleep(Duration::from_millis(1)).await;
        let one = delivery("/m", format!("body {number} of writer {writer}").as_bytes());
        let _ = archive.put(one.clone()).await.unwrap();
        archive.finish(one.id(), Outcome::processed(200)).await.unwrap();
        if number % 3 == 0 {
            writing.processed.lock().unwrap().push(one.id());
        } else if number % 30 == 1 {
            archive.remove(Query::all().id(one.id())).await.unwrap();
            writing.removed.lock().unwrap().push(one.id());
        }
    }
}

/// Returns the ids of all bodies in a backup, which must be readable, and the states of all deliveries.
async fn contents(path: &Path) -> (HashSet<DeliveryId>, HashMap<DeliveryId, StateKind>) {
    let backup = DiskArchive::read_only(path).await.unwrap();
    let (mut scan, mut ledger) = (backup.scan(Query::all()), backup.ledger(Query::all()));
    let (mut bodies, mut states) = (HashSet::new(), HashMap::new());
    while let Some(archived) = scan.next().await {
        bodies.insert(archived.unwrap().delivery.id());
    }
    while let Some(entry) = ledger.next().await {
        let entry = entry.unwrap();
        states.insert(entry.id, entry.state.kind());
    }
    (bodies, states)
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_beside_a_server_under_load_has_all_that_was_acknowledged_before_and_nothing_removed()
 {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    let builder = builder(&from).segment_size(6000).maintenance_interval(Duration::from_millis(1));
    let builder = builder.segment_age(Duration::ZERO).compress_after(Duration::ZERO);
    let archive = builder.ledger_retention(Duration::ZERO).open().await.unwrap();
    // Keep one delivery: otherwise the backup would have nothing in common with the archive.
    let first = delivery("/m", b"first");
    let _ = archive.put(first.clone()).await.unwrap();
    archive.finish(first.id(), Outcome::processed(200)).await.unwrap();
    let writing = Writing::default();
    let writers = [1, 2].map(|n| tokio::spawn(write(archive.clone(), writing.clone(), n)));
    for round in 0..if long_tests() { 5 } else { 2 } {
        let processed = writing.processed.lock().unwrap().clone();
        let removed = writing.removed.lock().unwrap().clone();
        let fresh = dir.path().join(format!("fresh {round}"));
        for to in [&to, &fresh] {
            let done = back_up(&from, to).await;
            assert!(done.is_sound() && done.verification.torn == 0, "{done:?}");
            let (bodies, states) = contents(to).await;
            for id in &processed {
                assert!(bodies.contains(id), "round {round}: {id} is missing");
                assert_eq!(states.get(id), Some(&StateKind::Processed), "round {round}: {id}");
            }
            for id in &removed {
                assert!(!bodies.contains(id), "round {round}: {id} was removed");
            }
        }
    }
    writing.is_over.store(true, Ordering::SeqCst);
    for writer in writers {
        writer.await.unwrap();
    }
    assert!(!writing.removed.lock().unwrap().is_empty());
}

#[tokio::test]
async fn backup_copies_sealed_segments_once_and_drops_removed_deliveries() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    let archive = builder(&from).open().await.unwrap();
    let all = filled(&archive).await;
    archive.maintain_now().await.unwrap();
    let count = segments(&from).len() as u64;
    assert!(count > 3);
    let first = back_up(&from, &to).await;
    assert_eq!((first.copied, first.unchanged, first.removed), (count, 0, 0));
    let second = back_up(&from, &to).await;
    assert_eq!((second.copied, second.unchanged, second.removed), (1, count - 1, 0));
    assert!(holds(&to, "number 1."));
    assert_eq!(archive.remove(Query::all().id(all[1].id())).await.unwrap(), 1);
    let third = back_up(&from, &to).await;
    assert!(third.copied <= 3 && third.unchanged >= count - 2, "{third:?}");
    assert!(!holds(&to, "number 1.") && holds(&to, "number 2."));
    // Compressing renames sealed segments; the copies of the compressed ones replace the earlier copies.
    archive.close().await;
    let archive = builder(&from).compress_after(Duration::ZERO).open().await.unwrap();
    archive.maintain_now().await.unwrap();
    archive.close().await;
    back_up(&from, &to).await;
    assert_eq!(names(&to), names(&from));
    let there = DiskArchive::read_only(&to).await.unwrap();
    for (at, one) in all.iter().enumerate() {
        assert_eq!(there.get(one.id()).await.unwrap().is_some(), at != 1, "number {at}");
        assert_eq!(there.outcome(one.id()).await.unwrap(), Some(Outcome::processed(200)));
    }
}

/// Returns the names of the segment files.
fn names(path: &Path) -> Vec<PathBuf> {
    let names = fs::read_dir(path).unwrap().map(|file| file.unwrap().file_name());
    let mut names: Vec<_> = names.map(PathBuf::from).collect();
    names.retain(|name| {
        !name.to_string_lossy().starts_with("inbox.") && name.extension().unwrap() != "idx"
    });
    names.sort();
    names
}

#[tokio::test]
async fn torn_end_of_the_segment_that_is_being_written_is_not_copied() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    let archive = builder(&from).open().await.unwrap();
    let all = filled(&archive).await;
    let open = segments(&from).pop().unwrap();
    let bytes = fs::read(&open).unwrap();
    for torn in [1, 40, bytes.len() / 2] {
        let start = bytes.iter().copied().take(torn);
        fs::write(&open, bytes.iter().copied().chain(start).collect::<Vec<_>>()).unwrap();
        let done = back_up(&from, &to).await;
        assert!(done.is_sound() && done.verification.torn == 0, "{done:?}");
        let there = DiskArchive::read_only(&to).await.unwrap();
        for one in &all {
            assert!(there.get(one.id()).await.unwrap().is_some());
        }
    }
}

/// Flips a bit in the body of a delivery.
fn spoil(path: &Path, body: &str) {
    for segment in segments(path) {
        let mut bytes = fs::read(&segment).unwrap();
        let found = bytes.windows(body.len()).position(|window| window == body.as_bytes());
        if let Some(place) = found {
            bytes[place] ^= 1;
            fs::write(segment, bytes).unwrap();
            return;
        }
    }
    panic!("{body} is nowhere");
}

#[tokio::test]
async fn damaged_or_truncated_segment_does_not_replace_a_sound_copy_and_a_damaged_copy_is_made_again()
 {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    let archive = builder(&from).open().await.unwrap();
    let all = filled(&archive).await;
    archive.maintain_now().await.unwrap();
    archive.close().await;
    back_up(&from, &to).await;
    spoil(&to, "number 3.");
    let healed = back_up(&from, &to).await;
    assert!(healed.is_sound(), "{healed:?}");
    spoil(&from, "number 3.");
    let last = segments(&from).into_iter().rev().find(|path| path.extension().unwrap() == "warc");
    let last = last.unwrap();
    // Truncate the segment at a record boundary, here to an empty file.
    fs::write(&last, "").unwrap();
    for _ in 0..2 {
        let done = back_up(&from, &to).await;
        assert!(!done.is_sound() && done.verification.is_sound(), "{done:?}");
        assert_eq!(done.kept.len(), 2, "{done:?}");
        let there = DiskArchive::read_only(&to).await.unwrap();
        for one in &all {
            assert!(there.get(one.id()).await.unwrap().is_some());
        }
    }
    // A new directory has no earlier copies: it gets only readable records.
    let fresh = back_up(&from, &dir.path().join("fresh")).await;
    assert!(!fresh.is_sound() && fresh.kept.is_empty(), "{fresh:?}");
}

#[tokio::test]
async fn backup_refuses_a_directory_that_is_no_backup_of_the_archive() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let archive = builder(&path("from")).open().await.unwrap();
    let all = filled(&archive).await;
    let other = builder(&path("other")).open().await.unwrap();
    filled(&other).await;
    other.close().await;
    for new in ["empty", "notes"] {
        fs::create_dir(path(new)).unwrap();
    }
    fs::write(path("notes").join("notes.txt"), "precious").unwrap();
    back_up(&path("from"), &path("to")).await;
    for (from, to, expected) in [
        ("from", "from", "it is the archive itself"),
        ("from", "other", "opened for writing"),
        ("from", "notes", "neither empty nor a backup"),
        ("empty", "to", "it is not an archive"),
        ("other", "to", "backup of another archive"),
    ] {
        let error = DiskArchive::backup(path(from), path(to), |_, _| {}).await.unwrap_err();
        assert!(reason(&error).contains(expected), "{from} to {to}: {}", reason(&error));
    }
    assert!(DiskArchive::backup(path("missing"), path("to"), |_, _| {}).await.is_err());
    assert_eq!(names(&path("notes")), [PathBuf::from("notes.txt")]);
    // A server opened the backup and received a delivery.
    let opened = DiskArchive::open(path("to")).await.unwrap();
    let _ = opened.put(delivery("/m", b"received by the backup")).await.unwrap();
    opened.close().await;
    let error = DiskArchive::backup(path("from"), path("to"), |_, _| {}).await.unwrap_err();
    assert!(reason(&error).contains("opened for writing"), "{}", reason(&error));
    assert_eq!(deliveries_in(&path("to")).await.len(), all.len() + 1);
}

#[tokio::test]
async fn restored_backup_is_an_archive_that_can_be_written_to() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let archive = builder(&path("from")).open().await.unwrap();
    let all = filled(&archive).await;
    archive.maintain_now().await.unwrap();
    back_up(&path("from"), &path("to")).await;
    let restored = restore(&path("to"), &path("new")).await.unwrap();
    assert!(restored.verification.is_sound() && !restored.is_interrupted, "{restored:?}");
    assert_eq!(restored.segments, segments(&path("from")).len() as u64);
    let new = builder(&path("new")).open().await.unwrap();
    for one in &all {
        assert_eq!(new.outcome(one.id()).await.unwrap(), Some(Outcome::processed(200)));
    }
    let _ = new.put(delivery("/m", b"later")).await.unwrap();
    new.close().await;
    assert_eq!(deliveries_in(&path("new")).await.len(), all.len() + 1);
    for (to, expected) in [("new", "it is not empty"), ("to", "it holds a backup")] {
        let error = restore(&path("to"), &path(to)).await.unwrap_err();
        assert!(reason(&error).contains(expected), "{}", reason(&error));
    }
    fs::create_dir(path("empty")).unwrap();
    let error = restore(&path("empty"), &path("newer")).await.unwrap_err();
    assert!(reason(&error).contains("it has no segments"), "{}", reason(&error));
    assert!(!path("newer").exists());
}

#[cfg(unix)]
#[tokio::test]
async fn files_of_a_backup_are_readable_by_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;

    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    let archive = builder(&from).open().await.unwrap();
    filled(&archive).await;
    archive.maintain_now().await.unwrap();
    back_up(&from, &to).await;
    restore(&to, &dir.path().join("new")).await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for new in [to, dir.path().join("new")] {
        assert_eq!(mode(&new), 0o700);
        for file in fs::read_dir(&new).unwrap() {
            assert_eq!(mode(&file.unwrap().path()), 0o600);
        }
    }
}
