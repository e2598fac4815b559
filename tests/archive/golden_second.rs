//! The directory `tests/golden/v2`: format 2 in every form, with index files, and with what stays of a removed delivery.

use std::{fs, path::Path};

use tower_inbox::{
    Delivery, DiskArchive, Outcome, Receipt,
    archive::{Archive, DiskArchiveBuilder, Query},
    delivery::{InferenceDigest, InferenceKey},
    testing::Sample,
};

use super::{
    all_in,
    golden::{copy_of, deliveries, id},
    segments,
};

/// The first five lie in compressed segments; then come a sealed one, and one that
/// is being written.
fn all() -> Vec<Delivery> {
    let at = std::time::Duration::from_secs(1_760_000_000);
    let more = (5..9).map(|number| {
        let body = format!("number {number}: {}", "0123456789".repeat(60));
        Sample::of("/hooks/{kind}").received_at(at).body(body).delivery().with_id(id(number))
    });
    deliveries().into_iter().chain(more).collect()
}

fn inference(of: &Delivery) -> InferenceDigest {
    InferenceDigest::of(of.model(), &InferenceKey::new("the key of an inference"), of.digest())
}

/// Of each what was told of it, the latest last.
fn outcomes(of: &Delivery) -> Vec<Outcome> {
    let number = all().iter().position(|one| one.id() == of.id()).unwrap();
    let failed = |attempts| Outcome::failed_at(attempts, "the handler answered 500");
    let inference = Some(inference(of));
    match number {
        0 => vec![failed(1), Outcome::Processed { status: 204, inference }],
        1 => vec![Outcome::processed(200)],
        2 => vec![Outcome::undecodable("$.inference.id is missing")],
        3 => vec![failed(1), failed(2), failed(3)],
        4 => vec![Outcome::Pending { attempts: 2, crashes: 1, running: false }],
        5 => vec![Outcome::Processed { status: 201, inference }],
        6 => vec![Outcome::Dead { reason: "by the test".into(), put_aside: true }],
        7 => vec![Outcome::Pending { attempts: 1, crashes: 0, running: true }],
        _ => vec![],
    }
}

/// What was removed.
const REMOVED: [usize; 2] = [1, 6];

async fn open(
    path: &Path,
    of: impl FnOnce(DiskArchiveBuilder) -> DiskArchiveBuilder,
) -> DiskArchive {
    of(DiskArchive::builder(path).segment_size(2000).upkeep_every(None)).open().await.unwrap()
}

async fn add(archive: &DiskArchive, some: &[Delivery]) {
    for one in some {
        assert_eq!(archive.append(one.clone()).await.unwrap(), Receipt::fresh(one.id()));
        for outcome in outcomes(one) {
            archive.settle(one.id(), outcome).await.unwrap();
        }
    }
}

async fn remove(archive: &DiskArchive, number: usize) {
    assert_eq!(archive.remove(Query::all().id(id(number))).await.unwrap(), 1);
}

/// How `tests/golden/v2` was written, by the version that had format 2 first.
#[tokio::test]
#[ignore = "writes a directory: INBOX_GOLDEN says which"]
async fn write_the_second() {
    let path = std::env::var_os("INBOX_GOLDEN").unwrap();
    let path = Path::new(&path);
    let age = std::time::Duration::ZERO;
    let archive = open(path, |it| it.segment_age(age).compress_after(age)).await;
    add(&archive, &all()[..5]).await;
    archive.upkeep_now().await.unwrap();
    remove(&archive, REMOVED[0]).await;
    archive.close().await;
    let archive = open(path, |it| it.segment_age(age).compress_after(None)).await;
    add(&archive, &all()[5..7]).await;
    remove(&archive, REMOVED[1]).await;
    archive.upkeep_now().await.unwrap();
    archive.close().await;
    let archive = open(path, |it| it.segment_size(1 << 20)).await;
    add(&archive, &all()[7..]).await;
}

fn count(path: &Path, extension: &str) -> usize {
    let files = fs::read_dir(path).unwrap().map(|file| file.unwrap().path());
    files.filter(|file| file.extension().is_some_and(|found| found == extension)).count()
}

/// All that is to be read of it, by whoever reads.
async fn assert_read(archive: DiskArchive) {
    for one in all() {
        assert_eq!(archive.outcome(one.id()).await.unwrap(), outcomes(&one).pop(), "{}", one.id());
    }
    for number in [0, 5] {
        let one = &all()[number];
        let known = archive.processed_as(inference(one)).await.unwrap();
        assert_eq!(known, outcomes(one).pop().map(|outcome| (one.id(), outcome)));
    }
    let mut left = all();
    left.retain(|one| !REMOVED.map(id).contains(&one.id()));
    let found = all_in(archive).await;
    assert_eq!(found.into_iter().map(|one| one.delivery).collect::<Vec<_>>(), left);
}

#[tokio::test]
async fn what_the_first_version_of_format_2_wrote_is_read_exactly_with_and_without_index_files() {
    for indexed in [true, false] {
        let dir = copy_of("v2");
        let path = dir.path();
        let counts = ["gz", "warc", "open", "idx"].map(|extension| count(path, extension));
        assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
        for file in fs::read_dir(path).unwrap().map(|file| file.unwrap().path()) {
            if !indexed && file.extension().is_some_and(|found| found == "idx") {
                fs::remove_file(file).unwrap();
            }
        }
        assert_read(DiskArchive::read_only(path).await.unwrap()).await;
        assert!(DiskArchive::verify(path, |_, _| {}).await.unwrap().is_sound());
        let archive = DiskArchive::open(path).await.unwrap();
        for one in all() {
            let again = one.clone().with_id(tower_inbox::DeliveryId::new());
            assert_eq!(archive.append(again).await.unwrap(), Receipt::repeat(one.id()));
        }
        assert_read(archive).await;
        assert!(segments(path).len() > 3, "{:?}", segments(path));
    }
}

#[tokio::test]
async fn its_index_files_are_read_too() {
    let dir = copy_of("v2");
    for segment in segments(dir.path()) {
        if segment.extension().is_some_and(|found| found != "open") {
            // Only an index file can tell what was here.
            let length = fs::metadata(&segment).unwrap().len();
            fs::write(segment, vec![0; usize::try_from(length).unwrap()]).unwrap();
        }
    }
    let archive = DiskArchive::read_only(dir.path()).await.unwrap();
    for one in all() {
        assert_eq!(archive.outcome(one.id()).await.unwrap(), outcomes(&one).pop(), "{}", one.id());
    }
}
