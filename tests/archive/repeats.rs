//! Repeats of a delivery write nothing, or a bounded amount.

use std::{fs, path::Path, time::Duration};

use super::{Short, delivery, segments};
use tower_inbox::{
    archive::{Append, Archive, ArchiveError, DiskArchive},
    delivery::{Delivery, DeliveryId, Outcome, StateKind},
    testing::{Fault, FaultyDisk},
};

fn bytes_in(path: &Path) -> u64 {
    segments(path).iter().map(|segment| fs::metadata(segment).unwrap().len()).sum()
}

fn repeat_of(first: &Delivery) -> Delivery {
    first.clone().with_id(DeliveryId::new())
}

#[tokio::test]
async fn repeats_of_leased_processed_and_poisoned_deliveries_write_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let archive = DiskArchive::open(dir.path()).await.unwrap();
    let all = ["leased", "processed", "poisoned"].map(|body| delivery("/m", body.as_bytes()));
    let leased = Append::new(all[0].clone()).leased_for(Duration::from_secs(60));
    assert!(archive.append(leased).await.unwrap().lease.is_some());
    for (one, outcome) in all[1..].iter().zip([Outcome::processed(200), Outcome::poisoned("x")]) {
        let _ = archive.put(one.clone()).await.unwrap();
        archive.finish(one.id(), outcome).await.unwrap();
    }
    let before = bytes_in(dir.path());
    for number in 0..300 {
        let append = Append::new(repeat_of(&all[number % 3]));
        let append =
            if number % 2 == 0 { append } else { append.leased_for(Duration::from_secs(60)) };
        let appended = archive.append(append).await.unwrap();
        assert!(appended.receipt.is_repeat() && appended.lease.is_none());
    }
    assert_eq!(bytes_in(dir.path()), before);
}

#[tokio::test]
async fn states_written_by_repeats_of_a_dead_delivery_are_dropped_by_maintenance() {
    let dir = tempfile::tempdir().unwrap();
    let builder =
        || DiskArchive::builder(dir.path()).segment_size(200_000).maintenance_interval(None);
    for compress_after in [None, Some(Duration::ZERO)] {
        let archive = builder().compress_after(compress_after).open().await.unwrap();
        let dead = delivery("/m", format!("{compress_after:?}").as_bytes());
        let other = delivery("/m", format!("other {compress_after:?}").as_bytes());
        for one in [&dead, &other] {
            let _ = archive.put(one.clone()).await.unwrap();
        }
        archive.finish(other.id(), Outcome::processed(200)).await.unwrap();
        archive.finish(dead.id(), Outcome::undecodable("$.a")).await.unwrap();
        let before = bytes_in(dir.path());
        for _ in 0..1000 {
            let append = Append::new(repeat_of(&dead)).leased_for(Duration::from_secs(60));
            let lease = archive.append(append).await.unwrap().lease.unwrap();
            archive.settle(lease, Outcome::undecodable("$.a"), Duration::ZERO).await.unwrap();
        }
        assert!(bytes_in(dir.path()) > before + 400_000, "the test writes several segments");
        archive.maintain_now().await.unwrap();
        let left = bytes_in(dir.path()) - before;
        // The active segment, and one state in each of the others.
        assert!(left < 210_000, "{left} bytes are left");
        archive.close().await;
        drop(archive);
        let archive = builder().open().await.unwrap();
        for (one, kind) in [(&dead, StateKind::Undecodable), (&other, StateKind::Processed)] {
            assert_eq!(archive.get(one.id()).await.unwrap().unwrap().delivery, *one);
            assert_eq!(archive.state(one.id()).await.unwrap().unwrap().kind(), kind);
        }
        assert!(DiskArchive::verify(dir.path(), |_, _| {}).await.unwrap().is_sound());
    }
}

#[tokio::test]
async fn below_the_watermark_repeats_that_write_states_are_refused() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), FaultyDisk::new());
    let builder =
        || DiskArchive::builder(dir.path()).min_free_space(1 << 20).maintenance_interval(None);
    let archive = disk.open(builder()).await.unwrap();
    let [dead, pending] = ["dead", "pending"].map(|body| delivery("/m", body.as_bytes()));
    for one in [&dead, &pending] {
        let _ = archive.put(one.clone()).await.unwrap();
    }
    archive.finish(dead.id(), Outcome::dead("404")).await.unwrap();
    drop(archive);
    disk.fail(Fault::Free { bytes: 1 << 20 });
    let archive = disk.open(builder()).await.unwrap();
    let before = bytes_in(dir.path());
    let lease = Duration::from_secs(60);
    for append in [
        Append::new(repeat_of(&dead)),
        Append::new(repeat_of(&dead)).leased_for(lease),
        Append::new(repeat_of(&pending)).leased_for(lease),
    ] {
        let error = archive.append(append).await.unwrap_err();
        assert!(matches!(error, ArchiveError::NoSpace { .. }), "{error}");
    }
    assert!(archive.put(repeat_of(&pending)).await.unwrap().is_repeat());
    assert_eq!(bytes_in(dir.path()), before);
}
