//! Removal, retry and repeats are decided one at a time: none uses a state that another has changed since.

use std::{fs, path::Path, time::Duration};

use super::{Short, delivery, segments, stride};
use tower_inbox::{
    archive::{
        Acquire, Append, Archive, ArchiveError, Claim, DiskArchive, DiskArchiveBuilder, Query,
        Release,
    },
    delivery::{Delivery, Outcome, State, StateKind},
    testing::SlowDisk,
};

const SYNC: Duration = Duration::from_millis(40);

/// One segment for each delivery, without automatic maintenance.
fn builder(path: &Path) -> DiskArchiveBuilder {
    DiskArchive::builder(path).segment_size(1).maintenance_interval(None)
}

async fn settled(archive: &DiskArchive, body: &str, outcome: Outcome) -> Delivery {
    let one = delivery("/m", body.as_bytes());
    let _ = archive.put(one.clone()).await.unwrap();
    archive.finish(one.id(), outcome).await.unwrap();
    one
}

async fn state(archive: &DiskArchive, one: &Delivery) -> State {
    archive.state(one.id()).await.unwrap().unwrap()
}

async fn has_body(archive: &DiskArchive, one: &Delivery) -> bool {
    archive.get(one.id()).await.unwrap().is_some()
}

#[tokio::test]
async fn repeat_of_dead_delivery_without_a_body_is_stored_anew() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    for outcome in [Outcome::dead("404"), Outcome::undecodable("$.id is missing")] {
        let body = outcome.to_string();
        let first = settled(&archive, &body, outcome).await;
        assert_eq!(archive.remove(Query::all().settled()).await.unwrap(), 1);
        let again = delivery("/m", body.as_bytes());
        let append = Append::new(again.clone()).leased_for(Duration::from_secs(60));
        let appended = archive.append(append).await.unwrap();
        assert_eq!((appended.receipt.id(), appended.receipt.is_repeat()), (again.id(), false));
        assert!(has_body(&archive, &again).await, "acknowledged, and its bytes are nowhere");
        assert_eq!(appended.lease.unwrap().id(), again.id());
        assert_ne!(first.id(), again.id());
        archive.remove(Query::all()).await.unwrap();
    }
}

/// Settles several deliveries, so that their removal takes some time, and returns the dead one under test.
async fn with_dead_one(archive: &DiskArchive) -> Delivery {
    for number in 0..4 {
        settled(archive, &format!("number {number}"), Outcome::processed(200)).await;
    }
    settled(archive, "the dead one", Outcome::dead("404")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn removal_never_removes_deliveries_that_were_retried_before() {
    for wait in [0, 1, 2, 3, 5, 8, 13].into_iter().step_by(stride(3)) {
        let dir = tempfile::tempdir().unwrap();
        let archive = SlowDisk::new(SYNC).open(builder(dir.path())).await.unwrap();
        let dead = with_dead_one(&archive).await;
        let removing = archive.remove(Query::all().settled());
        tokio::time::sleep(wait * SYNC / 4).await;
        let retried = archive.retry(Query::all().id(dead.id())).await.unwrap();
        let removed = removing.await.unwrap();
        assert_eq!(retried + removed, 5, "one of them decided about it, not both");
        assert_eq!(has_body(&archive, &dead).await, retried == 1);
        let kind = if retried == 1 { StateKind::Pending } else { StateKind::Dead };
        assert_eq!(state(&archive, &dead).await.kind(), kind);
        archive.close().await;
        let archive = builder(dir.path()).open().await.unwrap();
        assert_eq!(has_body(&archive, &dead).await, retried == 1, "after opening again");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipt_of_a_repeat_never_names_a_removed_delivery() {
    for wait in [0, 1, 2, 3, 5, 8, 13].into_iter().step_by(stride(3)) {
        let dir = tempfile::tempdir().unwrap();
        let archive = SlowDisk::new(SYNC).open(builder(dir.path())).await.unwrap();
        let pending = delivery("/m", b"pending");
        let _ = archive.put(pending.clone()).await.unwrap();
        let dead = with_dead_one(&archive).await;
        for (one, query) in [(pending, Query::all().pending()), (dead, Query::all().settled())] {
            let removing = archive.remove(query);
            tokio::time::sleep(wait * SYNC / 4).await;
            let again = delivery("/m", one.body());
            let receipt = archive.put(again.clone()).await.unwrap();
            let named = if receipt.is_repeat() { &one } else { &again };
            assert_eq!(receipt.id(), named.id());
            removing.await.unwrap();
            let is_there = has_body(&archive, named).await;
            // A delivery that a receipt named before its removal was decided is removed afterwards.
            assert!(is_there || receipt.is_repeat(), "a fresh one was removed");
            let revived = receipt.is_repeat() && one.body() == "the dead one";
            assert!(is_there || !revived, "revived, and then removed as settled");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retry_never_changes_deliveries_processed_in_the_meantime() {
    let dir = tempfile::tempdir().unwrap();
    let builder = DiskArchive::builder(dir.path()).maintenance_interval(None);
    let archive = SlowDisk::new(Duration::from_millis(2)).open(builder).await.unwrap();
    let all: Vec<_> = (0..60_u8).map(|number| delivery("/m", &[number])).collect();
    for one in &all {
        drop(archive.put(one.clone()));
    }
    let mut working = Vec::new();
    for one in &all {
        let (archive, id) = (archive.clone(), one.id());
        working.push(tokio::spawn(async move {
            archive.finish(id, Outcome::failed("503")).await.unwrap();
            archive.finish(id, Outcome::processed(200)).await
        }));
    }
    for _ in 0..20 {
        archive.retry(Query::all()).await.unwrap();
    }
    for one in working {
        one.await.unwrap().unwrap();
    }
    assert_eq!(archive.retry(Query::all()).await.unwrap(), 0);
    for one in &all {
        assert_eq!(state(&archive, one).await, Outcome::processed(200).into());
    }
    archive.close().await;
    let archive = DiskArchive::open(dir.path()).await.unwrap();
    assert_eq!(archive.counts().await.unwrap().of_all(StateKind::Processed), 60);
}

#[tokio::test]
async fn lease_is_a_crash_after_reopening_and_the_third_in_a_row_is_poisoned() {
    let dir = tempfile::tempdir().unwrap();
    let one = delivery("/m", b"it crashes the process");
    let archive = builder(dir.path()).open().await.unwrap();
    let append = Append::new(one.clone()).leased_for(Duration::from_secs(60));
    let mut lease = archive.append(append).await.unwrap().lease.unwrap();
    archive.close().await;
    for crashes in 1..=3 {
        assert_eq!((lease.attempt(), lease.crashes()), (crashes, crashes - 1));
        let archive = builder(dir.path()).open().await.unwrap();
        let stale = archive.settle(lease, Outcome::failed("late"), Duration::ZERO).await;
        assert!(matches!(stale, Err(ArchiveError::LeaseLost { .. })), "{stale:?}");
        if crashes == 3 {
            assert!(state(&archive, &one).await.to_string().starts_with("dead poisoned"));
            let repeat = archive.put(delivery("/m", one.body())).await.unwrap();
            assert!(repeat.is_repeat());
            archive.close().await;
            let reading = DiskArchive::read_only(dir.path()).await.unwrap();
            assert_eq!(state(&reading, &one).await.kind(), StateKind::Dead, "it is recorded");
            return;
        }
        let claim = Claim::new(vec![("/m".parse().unwrap(), 9)], 9);
        let claimed = archive.claim(claim).await.unwrap();
        assert!(claimed.leases.is_empty() && claimed.next_due.is_some(), "it is due later");
        lease = archive.acquire(Acquire::new(one.id())).await.unwrap().lease.unwrap();
        archive.close().await;
    }
}

#[tokio::test]
async fn lease_is_released_if_its_receiver_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let one = delivery("/m", b"its sender hung up");
    drop(archive.append(Append::new(one.clone()).leased_for(Duration::from_secs(60))));
    let claim = || Claim::new(vec![("/m".parse().unwrap(), 1)], 1);
    loop {
        let claimed = archive.claim(claim()).await.unwrap();
        if let [(_, lease)] = claimed.leases[..] {
            assert_eq!((lease.id(), lease.attempt()), (one.id(), 1));
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn repeats_of_settled_deliveries_write_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let one = settled(&archive, "one", Outcome::processed(200)).await;
    let size = || {
        let files = segments(dir.path());
        files.iter().map(|file| fs::metadata(file).unwrap().len()).sum::<u64>()
    };
    let before = size();
    for _ in 0..100 {
        assert!(archive.put(delivery("/m", one.body())).await.unwrap().is_repeat());
    }
    assert_eq!(size(), before);
}

#[tokio::test]
async fn retention_keeps_dead_deliveries_unless_their_age_is_set() {
    for keeps in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let builder = builder(dir.path()).retention(Duration::ZERO).max_bytes(0);
        let age = (!keeps).then_some(Duration::ZERO);
        let archive = builder.dead_retention(age).open().await.unwrap();
        let done = settled(&archive, "done", Outcome::processed(200)).await;
        let dead = settled(&archive, "dead", Outcome::dead("404")).await;
        let undecodable = settled(&archive, "undecodable", Outcome::undecodable("$")).await;
        archive.maintain_now().await.unwrap();
        assert!(!has_body(&archive, &done).await);
        for one in [&dead, &undecodable] {
            assert_eq!(has_body(&archive, one).await, keeps);
        }
    }
}

fn flip(path: &Path, needle: &str) {
    for segment in segments(path) {
        let mut bytes = fs::read(&segment).unwrap();
        let place = bytes.windows(needle.len()).position(|at| at == needle.as_bytes());
        if let Some(place) = place {
            bytes[place + needle.len()] ^= 1;
            fs::write(segment, bytes).unwrap();
        }
    }
}

fn holds(path: &Path, needle: &str) -> bool {
    segments(path).iter().any(|segment| {
        let bytes = fs::read(segment).unwrap();
        bytes.windows(needle.len()).any(|at| at == needle.as_bytes())
    })
}

#[tokio::test]
async fn bytes_that_are_read_as_damaged_are_archived_anew_when_they_come_again() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let first = delivery("/m", b"first of two");
    let _ = archive.put(first.clone()).await.unwrap();
    flip(dir.path(), "first");
    let repeat = archive.put(delivery("/m", first.body())).await.unwrap();
    assert!(repeat.is_repeat(), "nobody has read it yet");
    let damaged = archive.get(first.id()).await;
    assert!(matches!(damaged, Err(ArchiveError::Damaged { .. })), "{damaged:?}");
    let again = delivery("/m", first.body());
    let fresh = archive.put(again.clone()).await.unwrap();
    assert_eq!((fresh.id(), fresh.is_repeat()), (again.id(), false));
    archive.close().await;
    let archive = builder(dir.path()).open().await.unwrap();
    let third = archive.put(delivery("/m", first.body())).await.unwrap();
    assert_eq!((third.id(), third.is_repeat()), (again.id(), true), "the readable one counts");
}

#[tokio::test]
async fn removal_of_another_delivery_keeps_damaged_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let open = || DiskArchive::builder(dir.path()).maintenance_interval(None).open();
    let archive = open().await.unwrap();
    let pending = delivery("/m", format!("acknowledged: {}", "x".repeat(5000)).as_bytes());
    let _ = archive.put(pending.clone()).await.unwrap();
    settled(&archive, "settled", Outcome::processed(200)).await;
    archive.close().await;
    flip(dir.path(), "acknowledged: xxx");
    let archive = open().await.unwrap();
    assert_eq!(archive.remove(Query::all().settled()).await.unwrap(), 1);
    assert!(!holds(dir.path(), "settled\r\n\r\n"));
    assert!(holds(dir.path(), "acknowledged: xxx"), "the only copy of a pending delivery");
}

#[tokio::test]
async fn lease_of_a_removed_delivery_can_be_settled_or_released() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let ones = ["settled", "released"].map(|body| delivery("/m", body.as_bytes()));
    let mut leases = Vec::new();
    for one in &ones {
        let append = Append::new(one.clone()).leased_for(Duration::from_secs(60));
        leases.push(archive.append(append).await.unwrap().lease.unwrap());
    }
    assert_eq!(archive.remove(Query::all()).await.unwrap(), 2);
    archive.settle(leases[0], Outcome::processed(200), Duration::ZERO).await.unwrap();
    archive.release(leases[1], Release::After(Duration::ZERO)).await.unwrap();
    archive.close().await;
    let archive = builder(dir.path()).open().await.unwrap();
    assert_eq!(state(&archive, &ones[0]).await, Outcome::processed(200).into());
    assert_eq!(state(&archive, &ones[1]).await, State::NEW);
    assert_eq!(archive.counts().await.unwrap().iter().count(), 0);
}
