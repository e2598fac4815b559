use tower_inbox::{
    MemoryArchive,
    archive::DiskArchive,
    testing::{FaultyDisk, conformance},
};

#[tokio::test]
async fn memory() {
    conformance(&MemoryArchive::new()).await;
}

#[tokio::test]
async fn disk() {
    let dir = tempfile::tempdir().unwrap();
    let archive = DiskArchive::open(dir.path()).await.unwrap();
    conformance(&archive).await;
    conformance(&archive).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn disk_with_small_segments_that_was_opened_before() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let builder = DiskArchive::builder(dir.path()).segment_size(10_000);
        let archive = FaultyDisk::new().open(builder).await.unwrap();
        conformance(&archive).await;
    }
}
