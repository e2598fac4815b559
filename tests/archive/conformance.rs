use std::time::Duration;

use tower_inbox::{
    archive::DiskArchive,
    testing::{FaultyDisk, ModelDisk, conformance, conformance_of_pairs},
};

use super::long_tests;

#[tokio::test]
async fn disk_archive_conforms() {
    let dir = tempfile::tempdir().unwrap();
    let archive = DiskArchive::open(dir.path()).await.unwrap();
    conformance(&archive).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn disk_archive_with_small_segments_conforms_also_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let builder = DiskArchive::builder(dir.path()).segment_size(10_000);
        let archive = FaultyDisk::new().open(builder).await.unwrap();
        conformance(&archive).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn disk_archive_conforms_while_everything_is_compressed_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let builder = DiskArchive::builder(dir.path()).segment_size(10_000).segment_age(Duration::ZERO);
    let builder = builder.compress_after(Duration::ZERO).upkeep_every(Duration::from_millis(1));
    let archive = builder.open().await.unwrap();
    conformance(&archive).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn disk_archive_conforms_in_every_pair_of_operations() {
    // In memory unless it may take long: 10,000 histories are synced for minutes on a slow disk.
    let dir = tempfile::tempdir().unwrap();
    let builder = DiskArchive::builder(dir.path()).upkeep_every(None);
    let archive =
        if long_tests() { builder.open().await } else { ModelDisk::new(4096).open(builder).await };
    conformance_of_pairs(&archive.unwrap()).await;
}
