//! Maintenance of the segments of an archive over time.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Short, deliveries_in, delivery, readable_in, segments, stride};
use tower_inbox::{
    archive::{Archive, ArchiveError, DiskArchive, DiskArchiveBuilder, Query},
    delivery::Delivery,
    testing::{Fault, FaultyDisk},
};

fn builder(path: &Path) -> DiskArchiveBuilder {
    DiskArchive::builder(path).segment_size(3000).maintenance_interval(None)
}

async fn fill(archive: &DiskArchive) -> Vec<Delivery> {
    let all: Vec<_> =
        (0..12).map(|n| delivery("/m", format!("number {n}").repeat(40).as_bytes())).collect();
    for one in &all {
        let _ = archive.put(one.clone()).await.unwrap();
    }
    all
}

fn count(path: &Path, extension: &str) -> usize {
    let files = fs::read_dir(path).unwrap().map(|file| file.unwrap().path());
    files.filter(|file| file.extension().is_some_and(|found| found == extension)).count()
}

#[tokio::test]
async fn sealed_segments_are_compressed_indexed_and_read_as_before() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).compress_after(Duration::ZERO).open().await.unwrap();
    let all = fill(&archive).await;
    assert_eq!(count(dir.path(), "gz"), 0);
    let sealed = count(dir.path(), "warc");
    archive.maintain_now().await.unwrap();
    assert!(sealed > 2, "{sealed}");
    assert_eq!((count(dir.path(), "gz"), count(dir.path(), "idx")), (sealed, sealed));
    assert_eq!(count(dir.path(), "warc"), 0);
    for one in &all {
        assert_eq!(archive.get(one.id()).await.unwrap().unwrap().delivery, *one);
    }
    drop(archive);
    assert_eq!(deliveries_in(dir.path()).await, all);
    for file in fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().path()) {
        if file.extension().is_some_and(|found| found == "idx") {
            fs::remove_file(file).unwrap();
        }
    }
    assert_eq!(deliveries_in(dir.path()).await, all, "an index file may be deleted");
}

#[tokio::test]
async fn an_index_file_that_does_not_fit_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let all = fill(&archive).await;
    archive.maintain_now().await.unwrap();
    drop(archive);
    let indexes: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|file| file.extension().is_some_and(|found| found == "idx"))
        .collect();
    assert!(indexes.len() > 2);
    let mut texts: Vec<_> = indexes.iter().map(|index| fs::read(index).unwrap()).collect();
    for (at, index) in indexes.iter().enumerate() {
        let mut text = texts[at].clone();
        match at % 3 {
            0 => text.truncate(text.len() / 2),
            1 => text[60] ^= 1,
            _ => text.clone_from(&texts[0]),
        }
        fs::write(index, &text).unwrap();
        texts[at] = text;
    }
    assert_eq!(deliveries_in(dir.path()).await, all);
    let archive = builder(dir.path()).open().await.unwrap();
    archive.maintain_now().await.unwrap();
    let again: Vec<_> = indexes.iter().map(|index| fs::read(index).unwrap()).collect();
    let mut changed = again.iter().zip(&texts).skip(1);
    assert!(changed.all(|(again, text)| again != text), "what does not fit is written anew");
    drop(archive);
    assert_eq!(deliveries_in(dir.path()).await, all);
}

#[tokio::test]
async fn segment_truncated_between_two_records_is_reported() {
    for compress_after in [None, Some(Duration::ZERO)] {
        let dir = tempfile::tempdir().unwrap();
        let builder = || builder(dir.path()).compress_after(compress_after);
        let archive = builder().open().await.unwrap();
        let all = fill(&archive).await;
        archive.maintain_now().await.unwrap();
        drop(archive);
        let segment = segments(dir.path()).remove(0);
        let missing = cut_before_the_last_record(&segment);
        let (found, damages) = readable_in(dir.path()).await;
        assert_eq!((found.len(), damages), (all.len() - 1, 1));
        builder().open().await.unwrap().maintain_now().await.unwrap();
        let verified = DiskArchive::verify(dir.path(), |_, _| {}).await.unwrap();
        let damage = &verified.damages[0];
        assert_eq!((verified.damages.len(), &damage.path), (1, &segment));
        assert_eq!((damage.offset, damage.length), (segment.metadata().unwrap().len(), missing));
    }
}

/// The first bytes of a compressed record.
const MEMBER: &[u8] = &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0];

/// Cuts the last record off, and returns the number of removed bytes.
fn cut_before_the_last_record(segment: &Path) -> u64 {
    let bytes = fs::read(segment).unwrap();
    let is_record =
        |window: &&[u8]| window.starts_with(b"WARC/1.1\r\n") || window.starts_with(MEMBER);
    let offset = bytes.windows(10).rposition(|window| is_record(&window)).unwrap() as u64;
    let length = segment.metadata().unwrap().len();
    fs::File::options().write(true).open(segment).unwrap().set_len(offset).unwrap();
    length - offset
}

#[tokio::test]
async fn damage_in_a_compressed_segment_loses_no_more_than_the_record() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).compress_after(Duration::ZERO).open().await.unwrap();
    let all = fill(&archive).await;
    archive.maintain_now().await.unwrap();
    drop(archive);
    let packed = segments(dir.path()).remove(0);
    let whole = fs::read(&packed).unwrap();
    for at in (0..whole.len()).step_by(stride(5) * 7) {
        for index in fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().path()) {
            if index.extension().is_some_and(|found| found == "idx") {
                fs::remove_file(index).unwrap();
            }
        }
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(&packed, bytes).unwrap();
        let (found, damages) = readable_in(dir.path()).await;
        assert!(damages <= 1, "byte {at} makes {damages} damages");
        assert!(found.len() + 1 >= all.len(), "byte {at} leaves {}", found.len());
        assert!(found.iter().all(|one| all.contains(one)));
    }
}

#[tokio::test]
async fn a_short_segment_is_sealed_for_its_age() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).segment_age(Duration::ZERO).open().await.unwrap();
    let (a, b) = (delivery("/m", b"a"), delivery("/m", b"b"));
    let _ = archive.put(a.clone()).await.unwrap();
    assert_eq!(count(dir.path(), "warc"), 0);
    archive.maintain_now().await.unwrap();
    archive.maintain_now().await.unwrap();
    assert_eq!((count(dir.path(), "warc"), count(dir.path(), "open")), (1, 0));
    let _ = archive.put(b.clone()).await.unwrap();
    drop(archive);
    assert_eq!(deliveries_in(dir.path()).await, [a, b]);
}

#[tokio::test]
async fn maintenance_thread_seals_and_compresses() {
    let dir = tempfile::tempdir().unwrap();
    let builder = builder(dir.path()).maintenance_interval(Duration::from_millis(10));
    let archive = builder.compress_after(Duration::ZERO).open().await.unwrap();
    let all = fill(&archive).await;
    for _ in 0..1000 {
        if count(dir.path(), "gz") > 2 {
            drop(archive);
            assert_eq!(deliveries_in(dir.path()).await, all);
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nothing was compressed in ten seconds");
}

#[tokio::test]
async fn a_damaged_segment_is_not_compressed() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let all = fill(&archive).await;
    drop(archive);
    let damaged = segments(dir.path()).remove(0);
    let mut bytes = fs::read(&damaged).unwrap();
    let place = bytes.windows(8).position(|window| window == b"number 0").unwrap();
    bytes[place] ^= 1;
    fs::write(&damaged, &bytes).unwrap();
    let archive = builder(dir.path()).compress_after(Duration::ZERO).open().await.unwrap();
    archive.maintain_now().await.unwrap();
    archive.maintain_now().await.unwrap();
    assert_eq!(fs::read(&damaged).unwrap(), bytes, "what is damaged is left as it is");
    assert_eq!(count(dir.path(), "warc"), 1, "the others are compressed");
    drop(archive);
    assert_eq!(readable_in(dir.path()).await, (all[1..].to_vec(), 1));
}

/// Returns the offsets of a bit flip in the last record of a segment: in its header, and in its last byte.
fn in_header_and_trailer(segment: &[u8]) -> [usize; 2] {
    let needle = b"Inbox-Model";
    let header = segment.windows(needle.len()).rposition(|window| window == needle);
    [header.unwrap(), segment.len() - 1]
}

#[tokio::test]
async fn damaged_last_record_of_a_sealed_segment_is_reported_and_kept() {
    for flipped in 0..2 {
        let dir = tempfile::tempdir().unwrap();
        let archive = builder(dir.path()).open().await.unwrap();
        let all = fill(&archive).await;
        drop(archive);
        let path = segments(dir.path()).remove(0);
        let mut bytes = fs::read(&path).unwrap();
        let places = in_header_and_trailer(&bytes);
        bytes[places[flipped]] ^= 1;
        fs::write(&path, &bytes).unwrap();

        let archive = builder(dir.path()).compress_after(Duration::ZERO).open().await.unwrap();
        archive.maintain_now().await.unwrap();
        assert!(fs::read(&path).unwrap() == bytes, "what is damaged is not compressed");
        archive.remove(Query::all().id(all[0].id())).await.unwrap();
        drop(archive);
        let left = fs::read(&path).unwrap();
        assert!(left.len() < bytes.len() && left.ends_with(&bytes[bytes.len() - 600..]));
        let (found, damages) = readable_in(dir.path()).await;
        assert_eq!((found.len(), damages), (all.len() - 2, 1));
    }
}

#[tokio::test]
async fn below_the_watermark_new_deliveries_wait_outside_and_all_else_goes_on() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), FaultyDisk::new());
    let least = 1 << 20;
    let archive = disk.open(builder(dir.path()).min_free_space(least)).await.unwrap();
    let (a, b) = (delivery("/m", b"a"), delivery("/m", b"b"));
    let _ = archive.put(a.clone()).await.unwrap();
    drop(archive);
    disk.fail(Fault::Free { bytes: least });
    let archive = disk.open(builder(dir.path()).min_free_space(least)).await.unwrap();
    for _ in 0..2 {
        let error = archive.put(b.clone()).await.unwrap_err();
        assert!(matches!(error, ArchiveError::NoSpace { free, .. } if free == least), "{error}");
    }
    assert!(archive.put(delivery("/m", b"a")).await.unwrap().is_repeat());
    archive.finish(a.id(), tower_inbox::Outcome::dead("for the test")).await.unwrap();
    disk.fail(Fault::Free { bytes: least + 4096 });
    put_when_there_is_space(&archive, &b).await;
    drop(archive);
    assert_eq!(deliveries_in(dir.path()).await, [a, b]);
}

/// Appends, and retries while space is short: a rejected append triggers another read of the free space, on another
/// thread.
async fn put_when_there_is_space(archive: &DiskArchive, delivery: &Delivery) {
    while let Err(error) = archive.put(delivery.clone()).await {
        assert!(matches!(error, ArchiveError::NoSpace { .. }), "{error}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn appends_go_on_while_statvfs_hangs_and_the_last_known_free_space_counts() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), FaultyDisk::new());
    let least = 1 << 20;
    disk.fail(Fault::Free { bytes: least + 20_000 });
    let archive = disk.open(builder(dir.path()).min_free_space(least)).await.unwrap();
    disk.fail(Fault::HangingFreeSpace);
    let all: Vec<_> = (0..20).map(|n| delivery("/m", format!("{n}").as_bytes())).collect();
    let mut accepted = 0;
    for one in &all {
        match archive.put(one.clone()).await {
            Ok(_) => accepted += 1,
            Err(error) => assert!(matches!(error, ArchiveError::NoSpace { .. }), "{error}"),
        }
    }
    // Each delivery takes 2048 bytes plus its body.
    assert_eq!(accepted, 9);
    assert_eq!(disk.fault_now(), Some(Fault::HangingFreeSpace), "an append waited");
    disk.fail(Fault::Free { bytes: 2 * least });
    put_when_there_is_space(&archive, &all[19]).await;
    disk.fail(Fault::HangingFreeSpace);
    archive.close().await;
    drop(archive);
    assert_eq!(disk.fault_now(), Some(Fault::HangingFreeSpace), "closing waited");
    assert_eq!(deliveries_in(dir.path()).await, [&all[..9], &all[19..]].concat());
}

#[tokio::test]
async fn archive_below_the_watermark_opens_and_erases() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), FaultyDisk::new());
    let archive = disk.open(builder(dir.path())).await.unwrap();
    let mut all = fill(&archive).await;
    all.push(delivery("/m", b"in the segment that is written"));
    let _ = archive.put(all[12].clone()).await.unwrap();
    drop(archive);
    disk.fail(Fault::Free { bytes: 0 });
    // A torn record, as after a crash, which opening recovers from.
    let open = segments(dir.path()).pop().unwrap();
    let torn = [fs::read(&open).unwrap(), b"WARC/1.1\r\nWARC-Ty".to_vec()].concat();
    fs::write(&open, torn).unwrap();
    let builder = || builder(dir.path()).min_free_space(1 << 20).compress_after(Duration::ZERO);
    let archive = disk.open(builder()).await.unwrap();
    let refused = archive.put(delivery("/m", b"new")).await.unwrap_err();
    assert!(matches!(refused, ArchiveError::NoSpace { free: 0, .. }), "{refused}");
    assert_eq!(archive.remove(Query::all().id(all[3].id())).await.unwrap(), 1);
    archive.maintain_now().await.unwrap();
    drop(archive);
    let archive = disk.open(builder()).await.unwrap();
    assert!(archive.get(all[3].id()).await.unwrap().is_none());
    drop(archive);
    assert_eq!(deliveries_in(dir.path()).await, [&all[..3], &all[4..]].concat());
}

#[cfg(unix)]
#[tokio::test]
async fn every_file_of_an_archive_has_mode_0600_and_the_directory_0700() {
    use std::os::unix::fs::PermissionsExt;

    let base = tempfile::tempdir().unwrap();
    let dir = base.path().join("inbox");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let archive = builder(&dir).compress_after(Duration::ZERO).open().await.unwrap();
    let all = fill(&archive).await;
    archive.remove(Query::all().id(all[0].id())).await.unwrap();
    archive.maintain_now().await.unwrap();
    let asked = DiskArchive::request_retry(&dir, Query::all(), Duration::ZERO).await.unwrap();
    assert_eq!(asked, None);
    assert_eq!(mode(&dir), 0o700);
    let files: Vec<_> = fs::read_dir(&dir).unwrap().map(|file| file.unwrap().path()).collect();
    for kind in [".warc", ".warc.gz", ".idx", ".request", ".lock"] {
        let has_kind = |path: &PathBuf| path.to_string_lossy().contains(kind);
        assert!(files.iter().any(has_kind), "no {kind} in {files:?}");
    }
    for path in files {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}
