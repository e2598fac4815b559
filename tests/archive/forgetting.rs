//! Retention of the ledger: removed deliveries are remembered for the configured time, stored ones always.

use std::{path::Path, time::Duration};

use super::{Short, delivery, long_tests, segments};
use tower_inbox::{
    archive::{Archive, DiskArchive, DiskArchiveBuilder, Query},
    delivery::{Delivery, DeliveryId, InferenceDigest, InferenceKey, Outcome, Receipt},
};

/// Small segments, without automatic maintenance.
fn builder(path: &Path) -> DiskArchiveBuilder {
    DiskArchive::builder(path).segment_size(3000).maintenance_interval(None).ledger_retention(None)
}

fn inference(of: &Delivery) -> InferenceDigest {
    InferenceDigest::of(of.model(), &InferenceKey::new(of.id().to_string()), of.digest())
}

/// Appends 20 deliveries and settles them as processed.
async fn filled(archive: &DiskArchive) -> Vec<Delivery> {
    let mut kept = Vec::new();
    for number in 0..20 {
        let body = format!("the body of number {number}, {}", DeliveryId::new());
        let one = delivery("/m", body.as_bytes());
        let _ = archive.put(one.clone()).await.unwrap();
        let outcome = Outcome::processed(200).with_inference(Some(inference(&one)));
        archive.finish(one.id(), outcome).await.unwrap();
        kept.push(one);
    }
    kept
}

async fn is_remembered(archive: &DiskArchive, one: &Delivery) -> bool {
    archive.outcome(one.id()).await.unwrap().is_some()
}

async fn remembered(archive: &DiskArchive, all: &[Delivery]) -> Vec<bool> {
    let mut remembered = Vec::new();
    for one in all {
        remembered.push(is_remembered(archive, one).await);
    }
    remembered
}

#[tokio::test]
async fn removed_deliveries_are_forgotten_with_their_old_segments() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let all = filled(&archive).await;
    archive.remove(Query::all()).await.unwrap();
    archive.maintain_now().await.unwrap();
    assert_eq!(remembered(&archive, &all).await, [true; 20], "no age was chosen");
    drop(archive);

    let young =
        builder(dir.path()).ledger_retention(Duration::from_secs(60 * 60)).open().await.unwrap();
    young.maintain_now().await.unwrap();
    assert_eq!(remembered(&young, &all).await, [true; 20]);
    assert_eq!(
        young.put(delivery("/m", all[3].body())).await.unwrap(),
        Receipt::repeat(all[3].id())
    );
    drop(young);

    let old = builder(dir.path()).ledger_retention(Duration::ZERO).open().await.unwrap();
    assert_eq!(remembered(&old, &all).await, [true; 20], "nothing is forgotten by opening");
    old.maintain_now().await.unwrap();
    assert_eq!(remembered(&old, &all).await, [false; 20]);
    assert!(segments(dir.path()).len() <= 1, "{:?}", segments(dir.path()));
    let again = delivery("/m", all[3].body());
    assert_eq!(old.put(again.clone()).await.unwrap(), Receipt::fresh(again.id()));
    drop(old);

    let archive = builder(dir.path()).open().await.unwrap();
    assert_eq!(remembered(&archive, &all).await, [false; 20]);
    assert_eq!(archive.get(again.id()).await.unwrap().unwrap().delivery, again);
}

#[tokio::test]
async fn of_too_many_the_oldest_are_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).ledger_limit(8).open().await.unwrap();
    let all = filled(&archive).await;
    archive.remove(Query::all()).await.unwrap();
    archive.maintain_now().await.unwrap();
    let found = remembered(&archive, &all).await;
    let forgotten = found.iter().filter(|known| !**known).count();
    assert!(found[forgotten..].iter().all(|known| *known), "{found:?}");
    // Whole segments are forgotten, the oldest first, until at most 8 deliveries are remembered.
    assert!((12..=16).contains(&forgotten), "{found:?}");
    assert_eq!(
        archive.put(delivery("/m", all[19].body())).await.unwrap(),
        Receipt::repeat(all[19].id())
    );
    drop(archive);
    let archive = builder(dir.path()).open().await.unwrap();
    assert_eq!(remembered(&archive, &all).await, found);
}

#[tokio::test]
async fn state_recorded_among_forgotten_deliveries_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).ledger_retention(Duration::ZERO).open().await.unwrap();
    let first = delivery("/m", b"the first, which stays");
    let _ = archive.put(first.clone()).await.unwrap();
    let mut all = filled(&archive).await;
    let outcome = Outcome::dead("told in the middle of the others");
    archive.finish(first.id(), outcome.clone()).await.unwrap();
    all.extend(filled(&archive).await);
    for one in &all {
        archive.remove(Query::all().id(one.id())).await.unwrap();
    }
    archive.maintain_now().await.unwrap();
    let found = remembered(&archive, &all).await;
    assert!(found.contains(&false));
    drop(archive);
    let archive = builder(dir.path()).open().await.unwrap();
    assert_eq!(archive.outcome(first.id()).await.unwrap(), Some(outcome));
    assert_eq!(archive.get(first.id()).await.unwrap().unwrap().delivery, first);
    assert_eq!(remembered(&archive, &all).await, found);
}

#[tokio::test]
async fn unsettled_deliveries_are_neither_removed_by_age_nor_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let builder = || builder(dir.path()).retention(Duration::ZERO).ledger_retention(Duration::ZERO);
    let archive = builder().segment_age(Duration::ZERO).open().await.unwrap();
    let all = filled(&archive).await;
    // Seal first, so that the pending delivery is in a separate segment, which stays.
    archive.maintain_now().await.unwrap();
    let pending = delivery("/m", b"this one waits");
    let _ = archive.put(pending.clone()).await.unwrap();
    for _ in 0..3 {
        archive.maintain_now().await.unwrap();
    }
    assert_eq!(remembered(&archive, &all).await, [false; 20]);
    assert_eq!(archive.get(pending.id()).await.unwrap().unwrap().delivery, pending);
    drop(archive);
    let archive = builder().open().await.unwrap();
    assert_eq!(archive.get(pending.id()).await.unwrap().unwrap().delivery, pending);
}

#[tokio::test]
async fn the_ledger_does_not_grow_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let builder = builder(dir.path()).retention(Duration::ZERO).ledger_limit(50);
    let archive = builder.segment_age(Duration::ZERO).open().await.unwrap();
    let (mut most, mut last) = (0, Vec::new());
    for _ in 0..if long_tests() { 20 } else { 8 } {
        last = filled(&archive).await;
        archive.maintain_now().await.unwrap();
        archive.maintain_now().await.unwrap();
        most = most.max(archive.stats().await.unwrap().removed);
    }
    assert!((20..=50).contains(&most), "{most}");
    assert_eq!(remembered(&archive, &last).await, [true; 20]);
    assert!(segments(dir.path()).len() < 40, "{}", segments(dir.path()).len());
}
