//! How much memory the disk archive takes for each delivery that it remembers, also for those that were removed.

#![expect(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tempfile::TempDir;
use tower_inbox::{
    Outcome,
    archive::{Archive, DiskArchive, Query},
    delivery::{Delivery, InferenceDigest, InferenceKey},
    testing::Sample,
};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// A hash table doubles between these numbers: what is measured is not to be its best case alone.
const FEW: usize = 10_000;
const MORE: usize = 15_000;

type OutcomeOf = fn(&Delivery) -> Outcome;

fn processed(_: &Delivery) -> Outcome {
    Outcome::processed(200)
}

/// As the inference of a key that nothing else has.
fn processed_as(one: &Delivery) -> Outcome {
    let inference =
        InferenceDigest::of(one.model(), &InferenceKey::new(one.id().to_string()), one.digest());
    Outcome::Processed { status: 200, inference: Some(inference) }
}

fn repeat(one: &Delivery) -> Outcome {
    Outcome::Repeat { of: one.id() }
}

fn dead(_: &Delivery) -> Outcome {
    Outcome::dead("the handler answered 422 Unprocessable Entity")
}

/// An archive of so many deliveries, which is closed.
async fn filled(deliveries: usize, outcome: OutcomeOf, removed: bool) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let archive = DiskArchive::builder(dir.path()).segment_size(1 << 20).least_free(0);
    let archive = archive.open().await.unwrap();
    let mut working = Vec::new();
    for number in 0..deliveries {
        let one = Sample::of("/hooks/invoices").body(number.to_string()).delivery();
        drop(archive.append(one.clone()));
        working.push(archive.settle(one.id(), outcome(&one)));
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
async fn opened(deliveries: usize, outcome: OutcomeOf, removed: bool) -> usize {
    let dir = filled(deliveries, outcome, removed).await;
    let region = Region::new(ALLOCATOR);
    let _archive = DiskArchive::read_only(dir.path()).await.unwrap();
    each(&region, deliveries)
}

/// Bytes for each delivery that was forgotten.
async fn forgotten() -> usize {
    let dir = filled(FEW, processed_as, true).await;
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
    for (deliveries, outcome, removed) in [
        (FEW, processed as OutcomeOf, false),
        (FEW, processed_as, true),
        (MORE, processed_as, false),
        (FEW, repeat, false),
        (FEW, dead, true),
    ] {
        let bytes = opened(deliveries, outcome, removed).await;
        println!("{deliveries}, removed: {removed}: {bytes} bytes each");
        assert!(bytes <= 100, "{bytes}");
    }
    let forgotten = forgotten().await;
    println!("{forgotten} bytes for each that was forgotten");
    // The room of the last few thousand is kept for what comes next.
    assert!(forgotten <= 30, "{forgotten}");
}
