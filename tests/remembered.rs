//! The memory that the disk archive uses for each remembered delivery, including removed ones.

#![expect(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::{alloc::System, time::Duration};

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tempfile::TempDir;
use tower_inbox::{
    Outcome,
    archive::{Append, Archive, DiskArchive, Query},
    delivery::{Delivery, InferenceDigest, InferenceKey},
    testing::Sample,
};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const FEW: usize = 10_000;
const MORE: usize = 15_000;

const LEASE: Duration = Duration::from_secs(60);

type OutcomeOf = fn(&Delivery) -> Outcome;

fn processed(_: &Delivery) -> Outcome {
    Outcome::processed(200)
}

/// The outcome of a delivery with a unique inference key.
fn processed_as(one: &Delivery) -> Outcome {
    let inference =
        InferenceDigest::of(one.model(), &InferenceKey::new(one.id().to_string()), one.digest());
    Outcome::processed(200).with_inference(Some(inference))
}

fn repeat(one: &Delivery) -> Outcome {
    Outcome::repeat(one.id())
}

fn dead(_: &Delivery) -> Outcome {
    Outcome::dead("the handler returned 422 Unprocessable Entity")
}

/// Fills an archive with `deliveries` deliveries and closes it.
async fn filled(deliveries: usize, outcome: OutcomeOf, removed: bool) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let archive = DiskArchive::builder(dir.path()).segment_size(1 << 20).min_free_space(0);
    let archive =
        archive.segment_age(Duration::ZERO).maintenance_interval(None).open().await.unwrap();
    let mut working = Vec::new();
    for number in 0..deliveries {
        let one = Sample::of("/hooks/invoices").body(number.to_string()).delivery();
        let appending = archive.append(Append::new(one.clone()).leased_for(LEASE));
        working.push((appending, outcome(&one)));
        if working.len() == 1000 {
            let mut settling = Vec::new();
            for (appending, outcome) in working.drain(..) {
                let lease = appending.await.unwrap().lease.unwrap();
                settling.push(archive.settle(lease, outcome, Duration::ZERO));
            }
            for settling in settling {
                settling.await.unwrap();
            }
        }
    }
    if removed {
        archive.remove(Query::all()).await.unwrap();
    }
    // Seals all segments and writes their index files.
    archive.maintain_now().await.unwrap();
    archive.close().await;
    dir
}

fn each(region: &Region<'_, System>, deliveries: usize) -> usize {
    let stats = region.change();
    (stats.bytes_allocated - stats.bytes_deallocated) / deliveries
}

/// Returns the bytes of memory for each delivery after the archive is opened.
async fn opened(deliveries: usize, outcome: OutcomeOf, removed: bool) -> usize {
    let dir = filled(deliveries, outcome, removed).await;
    let region = Region::new(ALLOCATOR);
    let archive = DiskArchive::builder(dir.path()).min_free_space(0).maintenance_interval(None);
    let _archive = archive.open().await.unwrap();
    each(&region, deliveries)
}

/// Returns the bytes of memory for each forgotten delivery.
async fn forgotten() -> usize {
    let dir = filled(FEW, processed_as, true).await;
    let region = Region::new(ALLOCATOR);
    let archive = DiskArchive::builder(dir.path()).ledger_limit(0).maintenance_interval(None);
    let archive = archive.open().await.unwrap();
    archive.maintain_now().await.unwrap();
    assert_eq!(archive.stats().await.unwrap().removed, 0);
    each(&region, FEW)
}

/// A single test, because the allocator counts for the whole process.
#[tokio::test]
async fn settled_delivery_takes_at_most_40_bytes_of_memory() {
    for (deliveries, outcome, removed) in [
        (FEW, processed as OutcomeOf, false),
        (FEW, processed_as, true),
        (MORE, processed_as, false),
        (FEW, repeat, false),
        (FEW, dead, true),
    ] {
        let bytes = opened(deliveries, outcome, removed).await;
        println!("{deliveries}, removed: {removed}: {bytes} bytes each");
        assert!(bytes <= 40, "{bytes}");
    }
    let forgotten = forgotten().await;
    println!("{forgotten} bytes for each that was forgotten");
    // The capacity of the last few thousand entries is kept for later ones.
    assert!(forgotten <= 30, "{forgotten}");
}
