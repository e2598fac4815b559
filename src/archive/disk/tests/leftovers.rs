//! Possible leftovers of a crash, constructed by hand.

use std::{fs, path::Path, time::Duration};

use super::{append, bytes, deliveries_in, delivery, logged, segments};
use crate::{
    archive::{
        Archive, ArchiveError, DiskArchive, Query,
        disk::format::{
            compressed::compress,
            entry::Entry,
            name::{SegmentName, SegmentState},
            warc::{FORMAT, Salt, encode, warcinfo, warcinfo_of},
        },
    },
    delivery::{Delivery, DeliveryId},
};

#[tokio::test]
async fn a_torn_first_record_leaves_an_empty_segment_to_begin_again() {
    let dir = tempfile::tempdir().unwrap();
    let name = SegmentName { sequence: 1, salt: Salt::random() };
    fs::write(name.open_path(dir.path()), &bytes(&[warcinfo(name)])[..50]).unwrap();
    let one = delivery("/m", b"a");
    let archive = DiskArchive::open(dir.path()).await.unwrap();
    let _ = append(&archive, &one).await.unwrap();
    drop(archive);
    assert_eq!(deliveries_in(dir.path()).await, [one]);
    assert!(
        fs::read(name.open_path(dir.path()))
            .unwrap()
            .starts_with(b"WARC/1.1\r\nWARC-Type: warcinfo")
    );
}

/// A batch whose sync failed was written again to a second segment: `b` is in both.
fn written_twice(dir: &Path, [a, b]: [&Delivery; 2]) {
    for (sequence, kept) in [(1, vec![a, b]), (2, vec![b])] {
        let name = SegmentName { sequence, salt: Salt::random() };
        let entries =
            kept.into_iter().cloned().map(|delivery| Entry::Delivery { delivery, leased: false });
        let records = entries.map(|entry| encode(&entry, name.salt));
        let records: Vec<_> = [warcinfo(name)].into_iter().chain(records).collect();
        fs::write(name.open_path(dir), bytes(&records)).unwrap();
    }
}

#[tokio::test]
async fn a_delivery_that_was_written_to_two_segments_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (delivery("/m", b"a"), delivery("/m", b"b"));
    written_twice(dir.path(), [&a, &b]);
    assert_eq!(deliveries_in(dir.path()).await, [a, b.clone()]);
    let open =
        segments(dir.path()).iter().filter(|file| file.extension().unwrap() == "open").count();
    assert_eq!(open, 1, "the segment that was given up is sealed");
    let archive = DiskArchive::open(dir.path()).await.unwrap();
    fs::remove_file(&segments(dir.path())[0]).unwrap();
    assert!(archive.get(b.id()).await.unwrap().is_some(), "it is read where its sync succeeded");
}

#[tokio::test]
async fn a_delivery_that_was_written_to_two_segments_is_forgotten_once() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (delivery("/m", b"a"), delivery("/m", b"b"));
    written_twice(dir.path(), [&a, &b]);
    let builder = DiskArchive::builder(dir.path()).maintenance_interval(None);
    let archive = builder.ledger_retention(Duration::ZERO).open().await.unwrap();
    assert_eq!(archive.remove(Query::all()).await.unwrap(), 2);
    archive.maintain_now().await.unwrap();
    assert_eq!(archive.stats().await.unwrap().removed, 0);
    assert!(segments(dir.path()).is_empty());
}

#[tokio::test]
async fn a_later_format_is_refused_and_nothing_in_the_directory_is_changed() {
    let dir = tempfile::tempdir().unwrap();
    let names = [1, 2].map(|sequence| SegmentName { sequence, salt: Salt::random() });
    let torn = [bytes(&[warcinfo(names[0])]), b"a torn end".to_vec()].concat();
    fs::write(names[0].open_path(dir.path()), &torn).unwrap();
    let later = names[1].open_path(dir.path());
    fs::write(&later, bytes(&[warcinfo_of(names[1], FORMAT + 1)])).unwrap();
    let error = DiskArchive::open(dir.path()).await.unwrap_err();
    assert!(matches!(&error, ArchiveError::Newer { path, .. } if *path == later), "{error}");
    assert_eq!(fs::read(names[0].open_path(dir.path())).unwrap(), torn);
}

#[tokio::test]
async fn a_later_format_is_refused_by_readers_too_and_in_every_form() {
    for segment_state in SegmentState::ALL {
        let dir = tempfile::tempdir().unwrap();
        let name = SegmentName { sequence: 1, salt: Salt::random() };
        let record = bytes(&[warcinfo_of(name, FORMAT + 1)]);
        let file = if segment_state == SegmentState::Compressed {
            compress(&record).unwrap()
        } else {
            record
        };
        let path = name.path(dir.path(), segment_state);
        fs::write(&path, &file).unwrap();
        let writing = DiskArchive::open(dir.path()).await.unwrap_err();
        let reading = DiskArchive::read_only(dir.path()).await.unwrap_err();
        let verifying = DiskArchive::verify(dir.path(), |_, _| {}).await.unwrap_err();
        for error in [writing, reading, verifying] {
            let newer = matches!(&error, ArchiveError::Newer { path: of, .. } if *of == path);
            assert!(newer, "{segment_state:?}: {error}");
        }
    }
}

#[tokio::test]
async fn a_damaged_format_is_damage_and_no_later_format() {
    let dir = tempfile::tempdir().unwrap();
    let name = SegmentName { sequence: 1, salt: Salt::random() };
    let one = delivery("/m", b"a");
    let records = [
        warcinfo(name),
        encode(&Entry::Delivery { delivery: one.clone(), leased: false }, name.salt),
    ];
    let text = String::from_utf8(bytes(&records)).unwrap();
    let damaged = text.replace("inbox-format: 1", "inbox-format: 2");
    assert_ne!(text, damaged);
    fs::write(name.open_path(dir.path()), damaged).unwrap();
    let archive = DiskArchive::open(dir.path()).await.unwrap();
    assert_eq!(archive.get(one.id()).await.unwrap().unwrap().delivery, one);
    let first = archive.scan(Query::all()).next().await.unwrap();
    let path = name.open_path(dir.path());
    assert!(
        matches!(&first, Err(ArchiveError::Damaged { path: at, offset: 0, .. }) if *at == path)
    );
}

#[tokio::test]
async fn maintenance_warns_once_of_a_segment_that_is_damaged_while_the_archive_is_open() {
    let dir = tempfile::tempdir().unwrap();
    let archive = DiskArchive::builder(dir.path())
        .segment_size(500)
        .maintenance_interval(None)
        .open()
        .await
        .unwrap();
    for body in [b"a", b"b"] {
        let _ = append(&archive, &delivery("/m", body)).await.unwrap();
    }
    let path = segments(dir.path()).remove(0);
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 10;
    bytes[last] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let compactor = archive.compactor().unwrap();
    let text = logged(|| (0..2).for_each(|_| compactor.maintenance().unwrap()));
    assert_eq!(text.matches("a segment is damaged").count(), 1, "{text}");
    assert!(text.contains(&path.display().to_string()), "{text}");
    assert!(fs::read(&path).unwrap() == bytes);
}

#[tokio::test]
async fn request_that_cannot_be_read_is_logged_once_and_again_if_it_is_another() {
    let dir = tempfile::tempdir().unwrap();
    let archive = DiskArchive::builder(dir.path()).maintenance_interval(None).open().await.unwrap();
    let compactor = archive.compactor().unwrap();
    // Root can read every file.
    let request = || dir.path().join(format!("{}.request", DeliveryId::new()));
    let (first, second) = (request(), request());
    std::fs::create_dir(&first).unwrap();
    let warnings = |text: &str| text.matches("cannot do what another process asked for").count();
    let rounds = || logged(|| (0..3).for_each(|_| drop(compactor.do_requests())));
    assert_eq!(warnings(&rounds()), 1);
    std::fs::create_dir(&second).unwrap();
    let text = rounds();
    assert_eq!(warnings(&text), 1);
    assert!(text.contains(second.file_name().unwrap().to_str().unwrap()), "{text}");
    std::fs::remove_dir(&first).unwrap();
    assert_eq!(rounds(), "");
    std::fs::create_dir(&first).unwrap();
    assert_eq!(warnings(&rounds()), 1, "it was gone in between");
}
