//! The directory `tests/golden/v1`: the current format in every segment state, with index files and the remains of
//! removed deliveries.

use std::{fs, path::Path, time::Duration};

use http::{Uri, Version};
use tower_inbox::{
    Delivery, DiskArchive, Outcome, Receipt,
    archive::{Acquire, Append, Archive, DiskArchiveBuilder, Query, Release},
    delivery::{InferenceDigest, InferenceKey, State},
    testing::Sample,
};

use super::{Short, all_in, segments};

/// The id of the delivery with this number.
fn id(number: usize) -> tower_inbox::DeliveryId {
    format!("0192f0c1-2a3b-7c4d-8e5f-00000000000{number}").parse().unwrap()
}

fn samples() -> Vec<Sample> {
    let sample = |model, seconds: u64| {
        Sample::of(model).received_at(Duration::new(1_750_000_000 + seconds, 123_456_789))
    };
    vec![
        sample("/hooks/invoices", 0).body(r#"{"inference": {"id": "1"}}"#),
        sample("/hooks/invoices", 1)
            .header("x-name", b"caf\xe9 \xff")
            .header("x-twice", b"1")
            .header("x-twice", b"")
            .body((0..=u8::MAX).collect::<Vec<_>>()),
        sample("/hooks/property/{reference}", 2)
            .uri(Uri::from_static("/hooks/property/%20a?x=%0D%0A&y"))
            .version(Version::HTTP_2)
            .host(None),
        sample("/hooks/invoices", 3).header("transfer-encoding", b"chunked").body("4\r\nabcd"),
        sample("/hooks/invoices", 4).header("content-length", b"9").body("WARC/1.1\r\n\r\n\r\n"),
    ]
}

fn first_five() -> Vec<Delivery> {
    let samples = samples().into_iter().enumerate();
    samples.map(|(number, sample)| sample.delivery().with_id(id(number))).collect()
}

fn golden() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1");
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), dir.path().join(file.file_name())).unwrap();
    }
    dir
}

/// The first five are in compressed segments; the others are in a sealed and an active segment.
fn all() -> Vec<Delivery> {
    let at = std::time::Duration::from_secs(1_760_000_000);
    let more = (5..9).map(|number| {
        let body = format!("number {number}: {}", "0123456789".repeat(60));
        Sample::of("/hooks/{kind}").received_at(at).body(body).delivery().with_id(id(number))
    });
    first_five().into_iter().chain(more).collect()
}

fn inference(of: &Delivery) -> InferenceDigest {
    InferenceDigest::of(
        of.model(),
        &InferenceKey::versioned("the key of an inference", "2"),
        of.digest(),
    )
}

/// The outcomes with which each delivery is settled, in order. `None` releases the lease.
fn outcomes(of: &Delivery) -> Vec<Option<Outcome>> {
    let number = all().iter().position(|one| one.id() == of.id()).unwrap();
    let failed = |attempts| Some(Outcome::failed_at(attempts, "the handler answered 500"));
    let inference = Some(inference(of));
    match number {
        0 => vec![failed(1), Some(Outcome::processed(204).with_inference(inference))],
        1 => vec![Some(Outcome::processed(200))],
        2 => vec![Some(Outcome::undecodable("$.inference.id is missing"))],
        3 => vec![failed(1), failed(2), failed(3)],
        4 => vec![failed(1), None],
        5 => vec![Some(Outcome::processed(201).with_inference(inference))],
        6 => vec![Some(Outcome::poisoned("by the test"))],
        _ => vec![],
    }
}

/// The resulting states. The second to last delivery is leased when the process ends.
fn state(of: &Delivery) -> State {
    let number = all().iter().position(|one| one.id() == of.id()).unwrap();
    match outcomes(of).pop() {
        Some(Some(outcome)) => outcome.into(),
        Some(None) => "pending 1 0".parse().unwrap(),
        None if number == 7 => "leased 1 0".parse().unwrap(),
        None => State::NEW,
    }
}

/// The numbers of the removed deliveries.
const REMOVED: [usize; 2] = [1, 6];

async fn open(
    path: &Path,
    of: impl FnOnce(DiskArchiveBuilder) -> DiskArchiveBuilder,
) -> DiskArchive {
    of(DiskArchive::builder(path)
        .segment_size(2000)
        .maintenance_interval(None)
        .ledger_retention(None))
    .open()
    .await
    .unwrap()
}

async fn add(archive: &DiskArchive, some: &[Delivery]) {
    for one in some {
        let append = Append::new(one.clone());
        let leased = [0, 7].map(id).contains(&one.id());
        let append = if leased { append.leased_for(Duration::from_secs(60)) } else { append };
        let mut lease = archive.append(append).await.unwrap().lease;
        for outcome in outcomes(one) {
            let lease = match lease.take() {
                Some(lease) => lease,
                None => archive.acquire(Acquire::new(one.id())).await.unwrap().lease.unwrap(),
            };
            match outcome {
                Some(outcome) => archive.settle(lease, outcome, Duration::ZERO).await.unwrap(),
                None => archive.release(lease, Release::After(Duration::ZERO)).await.unwrap(),
            }
        }
    }
}

async fn remove(archive: &DiskArchive, number: usize) {
    assert_eq!(archive.remove(Query::all().id(id(number))).await.unwrap(), 1);
}

/// Writes a directory as `tests/golden/v1` was written.
#[tokio::test]
#[ignore = "writes a directory: INBOX_GOLDEN says which"]
async fn write() {
    let path = std::env::var_os("INBOX_GOLDEN").unwrap();
    let path = Path::new(&path);
    let age = std::time::Duration::ZERO;
    let archive = open(path, |it| it.segment_age(age).compress_after(age)).await;
    add(&archive, &all()[..5]).await;
    archive.maintain_now().await.unwrap();
    remove(&archive, REMOVED[0]).await;
    archive.close().await;
    let archive = open(path, |it| it.segment_age(age).compress_after(None)).await;
    add(&archive, &all()[5..7]).await;
    remove(&archive, REMOVED[1]).await;
    archive.maintain_now().await.unwrap();
    archive.close().await;
    let archive = open(path, |it| it.segment_size(1 << 20)).await;
    add(&archive, &all()[7..]).await;
}

fn count(path: &Path, extension: &str) -> usize {
    let files = fs::read_dir(path).unwrap().map(|file| file.unwrap().path());
    files.filter(|file| file.extension().is_some_and(|found| found == extension)).count()
}

/// Checks everything that can be read from the archive.
async fn assert_read(archive: DiskArchive, writes: bool) {
    for one in all() {
        let leased = "leased 1 0".parse::<State>().unwrap();
        // Opening for writing counts a lease as a crash.
        let crashed = writes && state(&one) == leased;
        let expected = if crashed { "pending 1 1".parse().unwrap() } else { state(&one) };
        assert_eq!(archive.state(one.id()).await.unwrap(), Some(expected), "{}", one.id());
    }
    for number in [0, 5] {
        let one = &all()[number];
        if writes {
            assert_eq!(archive.processed_as(inference(one)).await, Some(one.id()));
        }
    }
    let mut left = all();
    left.retain(|one| !REMOVED.map(id).contains(&one.id()));
    let found = all_in(archive).await;
    assert_eq!(found.into_iter().map(|one| one.delivery).collect::<Vec<_>>(), left);
}

#[tokio::test]
async fn golden_directory_is_read_exactly_with_and_without_index_files() {
    for indexed in [true, false] {
        let dir = golden();
        let path = dir.path();
        let counts = ["gz", "warc", "open", "idx"].map(|extension| count(path, extension));
        assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
        for file in fs::read_dir(path).unwrap().map(|file| file.unwrap().path()) {
            if !indexed && file.extension().is_some_and(|found| found == "idx") {
                fs::remove_file(file).unwrap();
            }
        }
        assert_read(DiskArchive::read_only(path).await.unwrap(), false).await;
        assert!(DiskArchive::verify(path, |_, _| {}).await.unwrap().is_sound());
        let archive = DiskArchive::open(path).await.unwrap();
        for one in all() {
            let again = one.clone().with_id(tower_inbox::DeliveryId::new());
            if one.id() != id(2) {
                // A repeat would revive an undecodable delivery.
                assert_eq!(archive.put(again).await.unwrap(), Receipt::repeat(one.id()));
            }
        }
        assert_read(archive, true).await;
        assert!(segments(path).len() > 3, "{:?}", segments(path));
    }
}

#[tokio::test]
async fn golden_index_files_are_used_without_reading_segments() {
    let dir = golden();
    for segment in segments(dir.path()) {
        if segment.extension().is_some_and(|found| found != "open") {
            // Overwritten with zeros: only the index file describes the segment.
            let length = fs::metadata(&segment).unwrap().len();
            fs::write(segment, vec![0; usize::try_from(length).unwrap()]).unwrap();
        }
    }
    let archive = DiskArchive::read_only(dir.path()).await.unwrap();
    for one in all() {
        assert_eq!(archive.state(one.id()).await.unwrap(), Some(state(&one)), "{}", one.id());
    }
}
