use std::time::Duration;

use tower_inbox::{
    archive::DiskArchive,
    testing::{FaultyDisk, conformance, conformance_of_pairs},
};

use super::stride;

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
    let builder =
        builder.compress_after(Duration::ZERO).maintenance_interval(Duration::from_millis(1));
    let archive = builder.open().await.unwrap();
    conformance(&archive).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn disk_archive_conforms_in_every_pair_of_operations() {
    let dir = tempfile::tempdir().unwrap();
    let archive = DiskArchive::builder(dir.path()).maintenance_interval(None).open().await.unwrap();
    conformance_of_pairs(&archive, stride(17)).await;
}
