//! The history of a delivery is read from the segments that have records of its states.

use std::{path::Path, time::Duration};

use super::{append, delivery};
use crate::{
    archive::{Acquire, Archive, DiskArchive, DiskArchiveBuilder, MAX_HISTORY},
    delivery::{Delivery, DeliveryId, Outcome, State},
};

const BODIES: usize = 5_000;

fn builder(path: &Path) -> DiskArchiveBuilder {
    let now = Duration::ZERO;
    DiskArchive::builder(path).segment_size(8_000).maintenance_interval(None).compress_after(now)
}

async fn fail(archive: &DiskArchive, id: DeliveryId, attempt: u32) {
    let lease = archive.acquire(Acquire::new(id)).await.unwrap().lease.unwrap();
    let failed = Outcome::failed_at(attempt, format!("the handler returned {}", 500 + attempt));
    archive.settle(lease, failed, Duration::ZERO).await.unwrap();
}

/// Returns a delivery whose first attempts are recorded in segments of their own: other deliveries are stored between
/// them.
async fn failed_in_many_segments(archive: &DiskArchive, attempts: u32) -> Delivery {
    let one = delivery("/m", b"fails");
    let _ = append(archive, &one).await.unwrap();
    for attempt in 1..=attempts {
        let other = delivery("/m", format!("{attempt:0BODIES$}").as_bytes());
        let _ = append(archive, &other).await.unwrap();
        fail(archive, one.id(), attempt).await;
        fail(archive, other.id(), 90).await;
    }
    one
}

fn expected(attempts: u32) -> Vec<State> {
    let failed = |attempt| {
        let reason = format!("the handler returned {}", 500 + attempt);
        [
            State::Leased { attempts: attempt, crashes: 0 },
            Outcome::failed_at(attempt, reason).into(),
        ]
    };
    (1..=attempts).flat_map(failed).collect()
}

async fn history(archive: &DiskArchive, id: DeliveryId) -> Vec<State> {
    let changes = archive.history(id).await.unwrap().unwrap();
    assert!(changes.is_sorted_by_key(|change| change.at), "{changes:?}");
    changes.into_iter().map(|change| change.state).collect()
}

#[tokio::test]
async fn history_spans_segments_and_survives_index_files_compression_and_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let one = failed_in_many_segments(&archive, 6).await;
    assert_eq!(history(&archive, one.id()).await, expected(6), "from the segments in memory");

    archive.maintain_now().await.unwrap();
    assert_eq!(history(&archive, one.id()).await, expected(6), "from segments with index files");
    let compressed = std::fs::read_dir(dir.path()).unwrap().filter(|entry| {
        entry.as_ref().unwrap().path().extension().is_some_and(|extension| extension == "gz")
    });
    assert!(compressed.count() >= 3, "the segments are compressed");

    let reading = DiskArchive::read_only(dir.path()).await.unwrap();
    assert_eq!(history(&reading, one.id()).await, expected(6), "from another process");
    archive.close().await;
    drop(archive);
    let archive = builder(dir.path()).open().await.unwrap();
    fail(&archive, one.id(), 7).await;
    assert_eq!(history(&archive, one.id()).await, expected(7), "after reopening");
}

#[tokio::test]
async fn history_has_the_latest_changes_of_many() {
    let dir = tempfile::tempdir().unwrap();
    let archive = DiskArchive::open(dir.path()).await.unwrap();
    let one = delivery("/m", b"fails");
    let _ = append(&archive, &one).await.unwrap();
    let attempts = u32::try_from(MAX_HISTORY).unwrap();
    for attempt in 1..=attempts {
        fail(&archive, one.id(), attempt).await;
    }
    let all = expected(attempts);
    assert_eq!(history(&archive, one.id()).await, all[all.len() - MAX_HISTORY..]);
}
