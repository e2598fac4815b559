//! Directories that earlier versions wrote. None of them is ever written again.

use std::{fs, path::Path, time::Duration};

use http::{Uri, Version};
use tower_inbox::{
    Delivery, DiskArchive, Outcome, Receipt,
    archive::{Archive, Query},
    testing::Sample,
};

use super::{all_in, segments};

/// The id of the delivery with this number.
pub(super) fn id(number: usize) -> tower_inbox::DeliveryId {
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

pub(super) fn deliveries() -> Vec<Delivery> {
    let samples = samples().into_iter().enumerate();
    samples.map(|(number, sample)| sample.delivery().with_id(id(number))).collect()
}

fn outcomes() -> [Option<Outcome>; 5] {
    [
        Some(Outcome::processed(204)),
        Some(Outcome::dead("the handler answered 404")),
        Some(Outcome::undecodable("$.inference.id is missing")),
        Some(Outcome::Repeat { of: id(0) }),
        None,
    ]
}

/// How `tests/golden/v1` was written, by the version that had this format first. Kept to be read, and for the next
/// format.
#[tokio::test]
#[ignore = "writes a directory: INBOX_GOLDEN says which"]
async fn write() {
    let path = std::env::var_os("INBOX_GOLDEN").unwrap();
    let archive = DiskArchive::builder(&path).segment_size(2500).open().await.unwrap();
    for (delivery, outcome) in deliveries().into_iter().zip(outcomes()) {
        let id = delivery.id();
        let _ = archive.append(delivery.clone()).await.unwrap();
        archive.settle(id, Outcome::failed("the first time")).await.unwrap();
        let _ = archive.append(delivery.with_id(tower_inbox::DeliveryId::new())).await.unwrap();
        if let Some(outcome) = outcome {
            archive.settle(id, outcome).await.unwrap();
        }
    }
    drop(archive);
    let last = segments(Path::new(&path)).pop().unwrap();
    let mut bytes = fs::read(&last).unwrap();
    // A torn end: the beginning of the segment once more.
    bytes.extend_from_within(..300);
    fs::write(last, bytes).unwrap();
}

pub(super) fn copy_of(version: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(version);
    for file in fs::read_dir(golden).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), dir.path().join(file.file_name())).unwrap();
    }
    dir
}

#[tokio::test]
async fn what_the_first_version_wrote_is_read_exactly() {
    let dir = copy_of("v1");
    let files = segments(dir.path());
    assert!(files.iter().any(|file| file.extension().unwrap() == "warc"), "{files:?}");
    assert!(files.iter().any(|file| file.extension().unwrap() == "open"), "{files:?}");
    let archive = DiskArchive::open(dir.path()).await.unwrap();
    for delivery in deliveries() {
        let again = delivery.clone().with_id(tower_inbox::DeliveryId::new());
        assert_eq!(archive.append(again).await.unwrap(), Receipt::repeat(delivery.id()));
    }
    let found = all_in(archive).await;
    let (expected, mut outcomes) = (deliveries(), outcomes());
    outcomes[4] = Some(Outcome::failed("the first time"));
    assert_eq!(found.iter().map(|one| one.delivery.clone()).collect::<Vec<_>>(), expected);
    assert_eq!(found.into_iter().map(|one| one.outcome).collect::<Vec<_>>(), outcomes);
}

#[tokio::test]
async fn what_is_written_anew_of_the_first_version_says_that_it_is_of_this_one() {
    let dir = copy_of("v1");
    let format = |file: &Path| {
        let text = String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned();
        text.lines().find_map(|line| line.strip_prefix("inbox-format: ").map(str::to_owned))
    };
    let archive = DiskArchive::open(dir.path()).await.unwrap();
    let before = segments(dir.path()).remove(0);
    archive.remove(Query::all().id(id(0))).await.unwrap();
    let files = segments(dir.path());
    assert_eq!((&files[0], format(&files[0]).as_deref()), (&before, Some("2")));
    assert_eq!(format(&files[1]).as_deref(), Some("1"), "it was not touched");
    drop(archive);
    let found = all_in(DiskArchive::open(dir.path()).await.unwrap()).await;
    assert_eq!(found.into_iter().map(|one| one.delivery).collect::<Vec<_>>(), deliveries()[1..]);
}
