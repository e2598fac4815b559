//! How much memory the disk archive takes for each delivery that it remembers, also for those that were removed.

#![expect(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tower_inbox::{
    Outcome,
    archive::{Archive, DiskArchive, Query},
    delivery::InferenceDigest,
    testing::Sample,
};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const DELIVERIES: usize = 20_000;

/// Bytes for each delivery after opening an archive of so many.
async fn each(inferences: bool, removed: bool) -> usize {
    let dir = tempfile::tempdir().unwrap();
    let archive = DiskArchive::builder(dir.path()).least_free(0).open().await.unwrap();
    let mut working = Vec::new();
    for number in 0..DELIVERIES {
        let one = Sample::of("/hooks/invoices").body(number.to_string()).delivery();
        let (id, model, digest) = (one.id(), one.model().clone(), one.digest());
        drop(archive.append(one));
        let inference = InferenceDigest::of(&model, &number.to_string(), digest);
        let inference = inferences.then_some(inference);
        working.push(archive.settle(id, Outcome::Processed { status: 200, inference }));
        if working.len() == 1000 {
            for settling in working.drain(..) {
                settling.await.unwrap();
            }
        }
    }
    if removed {
        archive.remove(Query::all()).await.unwrap();
    }
    archive.close().await;
    drop((archive, working));
    let region = Region::new(ALLOCATOR);
    let archive = DiskArchive::read_only(dir.path()).await.unwrap();
    let stats = region.change();
    let held = stats.bytes_allocated - stats.bytes_deallocated;
    drop(archive);
    held / DELIVERIES
}

/// One test: the allocator counts for the whole process.
#[tokio::test]
async fn a_remembered_delivery_takes_a_hundred_bytes() {
    for removed in [false, true] {
        let (bytes, inference) = (each(false, removed).await, each(true, removed).await);
        println!("removed: {removed}; {bytes} bytes each, {inference} of an inference");
        assert!(bytes <= 100, "{bytes}");
        assert!(inference <= 150, "{inference}");
    }
}
