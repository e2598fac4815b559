//! How much memory the disk archive takes for each delivery that it remembers, also for those that were removed.

#![expect(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tempfile::TempDir;
use tower_inbox::{
    Outcome,
    archive::{Archive, DiskArchive, Query},
    delivery::InferenceDigest,
    testing::Sample,
};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// A hash table doubles between these numbers: what is measured is not to be its best case alone.
const FEW: usize = 20_000;
const MORE: usize = 30_000;

/// An archive of so many deliveries, which is closed.
async fn filled(deliveries: usize, inferences: bool, removed: bool) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let archive = DiskArchive::builder(dir.path()).segment_size(1 << 20).least_free(0);
    let archive = archive.open().await.unwrap();
    let mut working = Vec::new();
    for number in 0..deliveries {
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
    dir
}

fn each(region: &Region<'_, System>, deliveries: usize) -> usize {
    let stats = region.change();
    (stats.bytes_allocated - stats.bytes_deallocated) / deliveries
}

/// Bytes for each delivery after opening an archive of so many.
async fn opened(deliveries: usize, inferences: bool, removed: bool) -> usize {
    let dir = filled(deliveries, inferences, removed).await;
    let region = Region::new(ALLOCATOR);
    let _archive = DiskArchive::read_only(dir.path()).await.unwrap();
    each(&region, deliveries)
}

/// Bytes for each delivery that was forgotten.
async fn forgotten() -> usize {
    let dir = filled(FEW, true, true).await;
    let region = Region::new(ALLOCATOR);
    let archive = DiskArchive::builder(dir.path()).remember(0).upkeep_every(None);
    let archive = archive.open().await.unwrap();
    archive.upkeep_now().await.unwrap();
    assert_eq!(archive.stats().await.unwrap().removed, 0);
    each(&region, FEW)
}

/// One test: the allocator counts for the whole process.
#[tokio::test]
async fn a_remembered_delivery_takes_a_hundred_bytes() {
    for (deliveries, inferences, removed) in
        [(FEW, false, false), (FEW, true, true), (MORE, true, false)]
    {
        let bytes = opened(deliveries, inferences, removed).await;
        println!("{deliveries}, inferences: {inferences}, removed: {removed}: {bytes} bytes each");
        assert!(bytes <= 100, "{bytes}");
    }
    let forgotten = forgotten().await;
    println!("{forgotten} bytes for each that was forgotten");
    // The room of the last few thousand is kept for what comes next.
    assert!(forgotten <= 30, "{forgotten}");
}
