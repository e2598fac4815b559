//! Removal: removed deliveries stay removed, the others remain, and the ledger is kept.

use std::{fs, path::Path, time::Duration};

use super::{Short, all_in, delivery, segments};
use tower_inbox::{
    archive::{Archive, ArchiveError, DiskArchive, DiskArchiveBuilder, Query},
    delivery::{Delivery, DeliveryId, Outcome, Receipt},
    testing::{Fault, FaultyDisk},
};

/// Small segments, without automatic maintenance.
fn builder(path: &Path) -> DiskArchiveBuilder {
    DiskArchive::builder(path).segment_size(3000).maintenance_interval(None)
}

async fn filled(archive: &DiskArchive) -> Vec<Delivery> {
    let mut kept = Vec::new();
    for number in 0..12 {
        let one = delivery("/m", format!("the body of number {number}").as_bytes());
        let _ = archive.put(one.clone()).await.unwrap();
        archive.finish(one.id(), Outcome::processed(200)).await.unwrap();
        kept.push(one);
    }
    kept
}

fn holds(path: &Path, needle: &str) -> bool {
    fs::read_dir(path).unwrap().any(|file| {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
    })
}

fn unfinished(path: &Path) -> bool {
    let mut files = fs::read_dir(path).unwrap().map(|file| file.unwrap().path());
    files.any(|file| file.to_string_lossy().contains("warc") && file.extension().unwrap() == "tmp")
}

/// Asserts that the deliveries at the indexes `gone` are removed but remembered, and that the others still exist.
async fn assert_left(archive: &DiskArchive, all: &[Delivery], gone: &[usize]) {
    for (at, one) in all.iter().enumerate() {
        let found = archive.get(one.id()).await.unwrap().map(|archived| archived.delivery);
        assert_eq!(found.as_ref(), Some(one).filter(|_| !gone.contains(&at)), "number {at}");
        let outcome = archive.outcome(one.id()).await.unwrap();
        assert_eq!(outcome, Some(Outcome::processed(200)), "number {at}");
        let again = archive.put(delivery("/m", one.body())).await.unwrap();
        assert_eq!(again, Receipt::repeat(one.id()), "number {at}");
    }
}

#[tokio::test]
async fn removed_deliveries_are_in_no_file_and_stay_removed_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let all = filled(&archive).await;
    for at in [0, 5, 11] {
        assert!(holds(dir.path(), &format!("the body of number {at}\r\n")));
        assert_eq!(archive.remove(Query::all().id(all[at].id())).await.unwrap(), 1);
        assert!(!holds(dir.path(), &format!("the body of number {at}\r\n")));
    }
    assert_left(&archive, &all, &[0, 5, 11]).await;
    drop(archive);
    let archive = builder(dir.path()).open().await.unwrap();
    assert_left(&archive, &all, &[0, 5, 11]).await;
    assert_eq!(archive.remove(Query::all()).await.unwrap(), 9);
    drop(archive);
    let archive = builder(dir.path()).open().await.unwrap();
    assert_eq!(archive.outcome(all[5].id()).await.unwrap(), Some(Outcome::processed(200)));
    assert!(all_in(archive).await.is_empty());
    assert!(!holds(dir.path(), "the body of number"));
}

#[tokio::test]
async fn many_ids_are_removed_with_one_rewrite_of_each_segment() {
    let mut calls = Vec::new();
    for by_ids in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let disk = FaultyDisk::new();
        let archive = disk.open(builder(dir.path())).await.unwrap();
        let all = filled(&archive).await;
        assert!(segments(dir.path()).len() > 2);
        let ids = Query::all().ids(all.iter().map(Delivery::id));
        let query = if by_ids { ids } else { Query::all() };
        disk.fail(Fault::OneCall { after: usize::MAX });
        assert_eq!(archive.remove(query).await.unwrap(), 12);
        let Some(Fault::OneCall { after }) = disk.fault_now() else { panic!() };
        calls.push(usize::MAX - after);
        disk.heal();
        assert!(!holds(dir.path(), "the body of number"));
    }
    assert_eq!(calls[0], calls[1], "as many calls that change files as for all at once");
}

#[tokio::test]
async fn some_ids_are_removed_and_those_between_them_stay() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let all = filled(&archive).await;
    let gone = [9, 1, 4];
    let ids = gone.map(|at| all[at].id()).into_iter().chain([DeliveryId::new()]);
    assert_eq!(archive.remove(Query::all().ids(ids)).await.unwrap(), 3);
    assert_left(&archive, &all, &gone).await;
}

/// Flips a bit in the record of the delivery with this number: in its body if `in_body`, otherwise in its header.
fn spoil(path: &Path, number: usize, in_body: bool) {
    let needle = format!("the body of number {number}\r\n\r\n");
    let place = |bytes: &[u8]| bytes.windows(needle.len()).position(|at| at == needle.as_bytes());
    for segment in segments(path) {
        let mut bytes = fs::read(&segment).unwrap();
        let Some(body) = place(&bytes) else { continue };
        let header = bytes[..body].windows(9).rposition(|at| at == b"WARC-Date").unwrap();
        bytes[if in_body { body } else { header }] ^= 1;
        fs::write(segment, bytes).unwrap();
    }
}

#[tokio::test]
async fn damaged_delivery_is_removed_and_remembered_and_other_damage_is_kept() {
    for (in_body, indexed) in [(true, true), (false, true), (true, false)] {
        let dir = tempfile::tempdir().unwrap();
        let archive = builder(dir.path()).open().await.unwrap();
        let all = filled(&archive).await;
        if indexed {
            archive.maintain_now().await.unwrap();
        }
        spoil(dir.path(), 4, in_body);
        spoil(dir.path(), 5, in_body);
        assert_eq!(archive.remove(Query::all().id(all[4].id())).await.unwrap(), 1);
        assert!(!holds(dir.path(), "he body of number 4\r\n"), "{in_body} {indexed}");
        assert!(holds(dir.path(), "he body of number 5\r\n"), "{in_body} {indexed}");
        let (rest, gone) = ([&all[..5], &all[6..]].concat(), [4]);
        assert_left(&archive, &rest, &gone).await;
        assert!(archive.get(all[5].id()).await.is_err());
        drop(archive);
        let archive = builder(dir.path()).open().await.unwrap();
        assert_left(&archive, &rest, &gone).await;
    }
}

#[tokio::test]
async fn removing_a_delivery_with_a_damaged_header_keeps_its_ledger_entry() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let all = filled(&archive).await;
    spoil(dir.path(), 4, false);
    assert_eq!(archive.remove(Query::all().id(all[4].id())).await.unwrap(), 1);
    assert!(!holds(dir.path(), "he body of number 4\r\n"));
    drop(archive);
    let archive = builder(dir.path()).open().await.unwrap();
    assert_left(&archive, &all, &[4]).await;
}

#[tokio::test]
async fn removal_that_fails_at_any_call_loses_no_other_delivery() {
    for after in 0.. {
        let (dir, disk) = (tempfile::tempdir().unwrap(), FaultyDisk::new());
        let archive = disk.open(builder(dir.path())).await.unwrap();
        let all = filled(&archive).await;
        archive.maintain_now().await.unwrap();
        disk.fail(Fault::OneCall { after });
        let removed = archive.remove(Query::all().id(all[4].id())).await;
        let over = disk.fault_now().is_some();
        disk.heal();
        assert!(!unfinished(dir.path()), "call {after}: there may be bodies in an unfinished file");
        let gone = archive.get(all[4].id()).await.unwrap().is_none();
        assert!(gone || removed.is_err(), "call {after}: it was not removed, and nobody was told");
        let rest = [&all[..4], &all[5..]].concat();
        assert_left(&archive, &rest, &[]).await;
        drop(archive);
        let archive = builder(dir.path()).open().await.unwrap();
        assert_left(&archive, &rest, &[]).await;
        archive.remove(Query::all().id(all[4].id())).await.unwrap();
        assert_left(&archive, &all, &[4]).await;
        drop(archive);
        if over {
            assert!(after > 5, "it needs only {after} calls");
            return;
        }
    }
}

#[tokio::test]
async fn old_settled_deliveries_are_removed_and_the_rest_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).retention(Duration::ZERO).open().await.unwrap();
    let all = filled(&archive).await;
    let failed = delivery("/m", b"failed");
    let _ = archive.put(failed.clone()).await.unwrap();
    archive.finish(failed.id(), Outcome::failed("once")).await.unwrap();
    let pending = delivery("/m", b"pending");
    let _ = archive.put(pending.clone()).await.unwrap();
    // The active segment is not changed.
    let _ = archive.put(delivery("/m", &[b'x'; 4000])).await.unwrap();
    archive.maintain_now().await.unwrap();
    let none: Vec<_> = (0..all.len()).collect();
    assert_left(&archive, &all, &none).await;
    for one in [&failed, &pending] {
        assert_eq!(archive.get(one.id()).await.unwrap().unwrap().delivery, *one);
    }
}

#[tokio::test]
async fn above_its_size_the_oldest_go_first() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).compress_after(None).max_bytes(70_000).open().await.unwrap();
    let mut all = Vec::new();
    for number in 0_u8..10 {
        let one = delivery("/m", &[number; 10_000]);
        let _ = archive.put(one.clone()).await.unwrap();
        archive.finish(one.id(), Outcome::processed(200)).await.unwrap();
        all.push(one);
    }
    archive.maintain_now().await.unwrap();
    let left = all_in(archive).await;
    let bytes: u64 =
        segments(dir.path()).iter().map(|file| fs::metadata(file).unwrap().len()).sum();
    assert!(bytes <= 70_000 && left.len() >= 4, "{bytes} bytes, {} deliveries", left.len());
    let left: Vec<_> = left.into_iter().map(|archived| archived.delivery).collect();
    assert_eq!(left, all[all.len() - left.len()..]);
}

#[tokio::test]
async fn another_process_has_something_removed_while_the_archive_is_open() {
    let dir = tempfile::tempdir().unwrap();
    let pause = Duration::from_millis(20);
    let archive = builder(dir.path()).maintenance_interval(pause).open().await.unwrap();
    let all = filled(&archive).await;
    let query = Query::all().id(all[3].id());
    let patience = Duration::from_secs(20);
    let removed = DiskArchive::request_removal(dir.path(), query.clone(), patience).await.unwrap();
    assert_eq!(removed, Some(1));
    assert_left(&archive, &all, &[3]).await;
    archive.close().await;
    assert!(matches!(archive.remove(query).await, Err(ArchiveError::Closed)));
    let query = Query::all().id(all[4].id());
    let nobody = DiskArchive::request_removal(dir.path(), query, Duration::ZERO).await.unwrap();
    assert_eq!(nobody, None);
    let archive = builder(dir.path()).open().await.unwrap();
    archive.maintain_now().await.unwrap();
    assert_left(&archive, &all, &[3, 4]).await;
}

#[tokio::test]
async fn a_request_that_cannot_be_done_keeps_no_other_from_being_done() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let all = filled(&archive).await;
    // A directory cannot be read as a request. Its id is older than those of the others.
    let old = "0192f0c1-2a3b-7c4d-8e5f-000000000000";
    fs::create_dir(dir.path().join(format!("{old}.request"))).unwrap();
    let unknown = DeliveryId::new();
    fs::write(dir.path().join(format!("{unknown}.request")), b"frobnicate \xff\n").unwrap();
    let query = Query::all().id(all[3].id());
    DiskArchive::request_removal(dir.path(), query, Duration::ZERO).await.unwrap();
    assert!(archive.maintain_now().await.is_err(), "one could not be done");
    assert_left(&archive, &all, &[3]).await;
    let answer = dir.path().join(format!("{unknown}.answer"));
    assert_eq!(fs::read_to_string(answer).unwrap(), "not understood\n");
    assert!(!dir.path().join(format!("{unknown}.request")).exists());
}

#[tokio::test]
async fn unread_answer_to_a_request_is_removed_after_a_day() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let old = dir.path().join("0192f0c1-2a3b-7c4d-8e5f-000000000000.answer");
    let new = dir.path().join(format!("{}.answer", DeliveryId::new()));
    let another = dir.path().join("an.answer");
    for path in [&old, &new, &another] {
        fs::write(path, "1\n").unwrap();
    }
    archive.maintain_now().await.unwrap();
    assert!(!old.exists() && new.exists() && another.exists());
}

#[tokio::test]
async fn body_removed_before_it_was_settled_is_archived_again_also_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (delivery("/m", b"twice"), delivery("/m", b"twice"));
    let archive = builder(dir.path()).open().await.unwrap();
    let _ = archive.put(first.clone()).await.unwrap();
    let _ = archive.put(delivery("/m", b"another")).await.unwrap();
    assert_eq!(archive.remove(Query::all().id(first.id())).await.unwrap(), 1);
    archive.close().await;
    let archive = builder(dir.path()).open().await.unwrap();
    let again = archive.put(second.clone()).await.unwrap();
    assert_eq!(again, Receipt::fresh(second.id()));
    archive.close().await;
    for _ in 0..2 {
        let archive = builder(dir.path()).open().await.unwrap();
        assert_eq!(archive.get(second.id()).await.unwrap().unwrap().delivery, second);
        let third = archive.put(delivery("/m", b"twice")).await.unwrap();
        assert_eq!(third, Receipt::repeat(second.id()));
        // The next iteration reads the index files.
        archive.maintain_now().await.unwrap();
        archive.close().await;
    }
}

/// Returns the request files, which other processes create and the archive answers.
fn requests(path: &Path) -> Vec<std::path::PathBuf> {
    let files = fs::read_dir(path).unwrap().map(|file| file.unwrap().path());
    files.filter(|file| file.to_string_lossy().contains(".request")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn request_that_fails_is_answered_with_the_error_at_once_and_withdrawn() {
    for (fault, expected) in [
        (Fault::Unsynced, "sync fault of the test"),
        // There is no space for the error, either.
        (Fault::Full { room: 0 }, "the log of that process says why"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let disk = FaultyDisk::new();
        let builder = builder(dir.path()).maintenance_interval(Duration::from_millis(10));
        let archive = disk.open(builder).await.unwrap();
        let all = filled(&archive).await;
        let query = Query::all().id(all[1].id());
        disk.fail(fault);
        // The timeout is far longer than a test may take.
        let asked =
            DiskArchive::request_removal(dir.path(), query.clone(), Duration::from_secs(60 * 60));
        let error = asked.await.unwrap_err();
        let reason = std::error::Error::source(&error).unwrap().to_string();
        assert!(reason.contains("the process that has the archive open failed"), "{reason}");
        assert!(reason.contains(expected), "{reason}");
        assert_eq!(requests(dir.path()), [""; 0].map(std::path::PathBuf::from));
        disk.heal();
        let asked = DiskArchive::request_removal(dir.path(), query, Duration::from_secs(60 * 60));
        // The first attempt may have got as far as deciding the removal.
        assert!(asked.await.unwrap().is_some());
        assert!(archive.get(all[1].id()).await.unwrap().is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_request_is_retried_if_its_sender_has_left() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::new();
    let builder = builder(dir.path()).maintenance_interval(Duration::from_millis(10));
    let archive = disk.open(builder).await.unwrap();
    let all = filled(&archive).await;
    disk.fail(Fault::Unsynced);
    let query = Query::all().id(all[1].id());
    let asked = DiskArchive::request_removal(dir.path(), query, Duration::ZERO).await;
    if !matches!(asked, Ok(None)) {
        // The archive answered before the first check for an answer.
        asked.unwrap_err();
        return;
    }
    let failed = || {
        let text = requests(dir.path()).first().map(|path| fs::read_to_string(path).unwrap());
        text.is_some_and(|text| text.contains("sync fault of the test"))
    };
    while !failed() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    disk.heal();
    while !requests(dir.path()).is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(archive.get(all[1].id()).await.unwrap().is_none());
    // Maintenance runs every 10 ms here and would remove files that `holds` has listed.
    archive.close().await;
    assert!(!holds(dir.path(), "the body of number 1\r\n"));
}
