use std::{fs, path::Path};

use super::{Short, all_in, deliveries_in, delivery, segments, stride};
use tower_inbox::{
    archive::{Archive, ArchiveError, DiskArchive, Query},
    delivery::{InferenceDigest, InferenceKey, Outcome, Receipt},
};

#[tokio::test]
async fn archived_deliveries_survive_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("not/there/yet");
    let (a, b) = (delivery("/a", b"a"), delivery("/b", b"b"));
    let archive = DiskArchive::open(&path).await.unwrap();
    assert_eq!(archive.to_string(), format!("disk archive at {}", path.display()));
    for one in [&a, &b] {
        assert_eq!(archive.put(one.clone()).await.unwrap(), Receipt::fresh(one.id()));
    }
    archive.finish(a.id(), Outcome::failed("once")).await.unwrap();
    archive.finish(a.id(), Outcome::processed(201)).await.unwrap();
    drop(archive);

    let archive = DiskArchive::open(&path).await.unwrap();
    let again = archive.put(delivery("/a", b"a")).await.unwrap();
    assert_eq!(again, Receipt::repeat(a.id()));
    let found = all_in(archive).await;
    assert_eq!(found.iter().map(|one| &one.delivery).collect::<Vec<_>>(), [&a, &b]);
    assert_eq!(found[0].state, Outcome::processed(201).into());
    assert_eq!(found[1].state, tower_inbox::delivery::State::NEW);
}

#[tokio::test]
async fn open_with_wait_for_lock_takes_over_from_the_archive_that_closes() {
    let dir = tempfile::tempdir().unwrap();
    let first = DiskArchive::open(dir.path()).await.unwrap();
    let builder = DiskArchive::builder(dir.path());
    let short = builder.clone().wait_for_lock(std::time::Duration::from_millis(30)).open().await;
    let error = short.unwrap_err();
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    let waiting = tokio::spawn(builder.wait_for_lock(std::time::Duration::from_secs(60)).open());
    let a = delivery("/m", b"a");
    let _ = first.put(a.clone()).await.unwrap();
    first.close().await;
    let second = waiting.await.unwrap().unwrap();
    assert_eq!(second.get(a.id()).await.unwrap().unwrap().delivery, a);
}

#[tokio::test]
async fn a_directory_has_one_writer() {
    let dir = tempfile::tempdir().unwrap();
    let archive = DiskArchive::open(dir.path()).await.unwrap();
    let second = DiskArchive::open(dir.path()).await.unwrap_err();
    assert!(matches!(&second, ArchiveError::Locked { path, .. } if path == dir.path()), "{second}");
    archive.close().await;
    let again = DiskArchive::open(dir.path()).await.unwrap();
    let refused = archive.put(delivery("/m", b"")).await;
    assert!(matches!(refused, Err(ArchiveError::Closed)));
    drop(again);
}

#[tokio::test]
async fn dropping_the_archive_writes_queued_commands() {
    let dir = tempfile::tempdir().unwrap();
    let archive = DiskArchive::open(dir.path()).await.unwrap();
    let work: Vec<_> =
        (0..100).map(|n| archive.put(delivery("/m", format!("{n}").as_bytes()))).collect();
    drop(archive);
    assert_eq!(deliveries_in(dir.path()).await.len(), 100);
    for work in work {
        assert!(work.await.is_ok());
    }
}

#[tokio::test]
async fn one_that_is_too_many_is_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let archive = DiskArchive::builder(dir.path()).queue_capacity(0).open().await.unwrap();
    let refused = archive.put(delivery("/m", b"")).await;
    assert!(matches!(refused, Err(ArchiveError::Overloaded)));
}

#[test]
fn an_archive_needs_no_runtime_but_to_wait() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let archive = runtime.block_on(DiskArchive::open(dir.path())).unwrap();
    let delivery = delivery("/m", b"");
    let (append, mut scan) = (archive.put(delivery.clone()), archive.scan(Query::all()));
    let _ = runtime.block_on(append).unwrap();
    let get = archive.get(delivery.id());
    assert_eq!(runtime.block_on(get).unwrap().unwrap().delivery, delivery);
    drop(runtime.block_on(scan.next()));
}

#[tokio::test]
async fn a_full_segment_is_sealed_and_all_segments_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut kept = Vec::new();
    for _ in 0..3 {
        let archive = DiskArchive::builder(dir.path()).segment_size(1000).open().await.unwrap();
        for number in 0..5 {
            let one = delivery("/m", format!("{}.{number}", kept.len()).as_bytes());
            let _ = archive.put(one.clone()).await.unwrap();
            archive.finish(one.id(), Outcome::dead("for the test")).await.unwrap();
            kept.push(one);
        }
        let last = archive.get(kept.last().unwrap().id()).await.unwrap().unwrap();
        assert_eq!(last.delivery, *kept.last().unwrap());
    }
    let files = segments(dir.path());
    let open = files.iter().filter(|file| file.extension().unwrap() == "open").count();
    assert!(files.len() > 8 && open <= 1, "{files:?}");
    assert_eq!(deliveries_in(dir.path()).await, kept);
}

#[tokio::test]
async fn a_torn_end_is_cut_wherever_it_is_torn() {
    let dir = tempfile::tempdir().unwrap();
    let (first, last) = (delivery("/m", b"first"), delivery("/m", b"the last one"));
    let archive = DiskArchive::open(dir.path()).await.unwrap();
    let _ = archive.put(first.clone()).await.unwrap();
    let segment = segments(dir.path()).remove(0);
    let good = fs::metadata(&segment).unwrap().len();
    let _ = archive.put(last).await.unwrap();
    drop(archive);
    let whole = fs::read(&segment).unwrap();
    for end in (usize::try_from(good).unwrap()..whole.len()).rev().step_by(stride(9)) {
        fs::write(&segment, &whole[..end]).unwrap();
        let archive = DiskArchive::open(dir.path()).await.unwrap();
        assert_eq!(fs::metadata(&segment).unwrap().len(), good, "torn at {end}");
        let next = delivery("/m", b"the next one");
        let _ = archive.put(next.clone()).await.unwrap();
        assert_eq!(all_in(archive).await.len(), 2);
        assert_eq!(deliveries_in(dir.path()).await, [first.clone(), next], "torn at {end}");
    }
}

#[tokio::test]
async fn damage_after_the_start_is_an_error_with_its_place() {
    for needle in ["needle in the body", "page=1 HTTP/1.1"] {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (delivery("/m", b"a needle in the body"), delivery("/m", b"b"));
        let archive = DiskArchive::open(dir.path()).await.unwrap();
        let _ = archive.put(a.clone()).await.unwrap();
        let _ = archive.put(b.clone()).await.unwrap();
        let segment = segments(dir.path()).remove(0);
        spoil(&segment, needle);
        let error = archive.get(a.id()).await.unwrap_err();
        let placed = matches!(&error, ArchiveError::Damaged { path, .. } if *path == segment);
        assert!(placed, "{error}");
        let mut scan = archive.scan(Query::all());
        assert!(scan.next().await.unwrap().is_err());
        assert_eq!(scan.next().await.unwrap().unwrap().delivery, b);
        assert!(scan.next().await.is_none());
    }
}

/// Flips one bit, in place.
fn spoil(segment: &Path, needle: &str) {
    let mut bytes = fs::read(segment).unwrap();
    let place = bytes.windows(needle.len()).position(|window| window == needle.as_bytes());
    bytes[place.unwrap()] ^= 1;
    fs::write(segment, bytes).unwrap();
}

#[tokio::test]
async fn processed_inference_is_known_after_reopening_also_without_its_body() {
    let dir = tempfile::tempdir().unwrap();
    let one = delivery("/m", b"an inference");
    let inference = InferenceDigest::of(one.model(), &InferenceKey::new("key"), one.digest());
    let processed = Outcome::processed(201).with_inference(Some(inference));
    let archive = DiskArchive::builder(dir.path()).maintenance_interval(None).open().await.unwrap();
    let _ = archive.put(one.clone()).await.unwrap();
    archive.finish(one.id(), processed.clone()).await.unwrap();
    archive.close().await;
    for removes in [true, false] {
        let archive =
            DiskArchive::builder(dir.path()).maintenance_interval(None).open().await.unwrap();
        assert_eq!(archive.processed_as(inference).await, Some(one.id()));
        if removes {
            assert_eq!(archive.remove(Query::all()).await.unwrap(), 1);
        }
        // The next iteration reads the index files.
        archive.maintain_now().await.unwrap();
        archive.close().await;
    }
}
