//! Expired leases: each counts as a crash, and later operations of its holder come too late.
#![expect(clippy::panic, reason = "the suite reports a violation by panicking")]

use std::time::Duration;

use tokio::time::sleep;

use super::support::{Fixture, NOW, assert_fails, done};
use crate::{
    archive::{Acquire, Append, Archive, ArchiveError, Begun, Lease, Release},
    delivery::{Outcome, Receipt, State, StateKind},
};

const SHORT: Duration = Duration::from_secs(10);

/// Sleeps for longer than a short lease.
async fn outlive() {
    sleep(SHORT + Duration::from_secs(1)).await;
}

async fn append_short(fixture: &Fixture<'_>, body: &str) -> Lease {
    let append = Append::new(fixture.sample(body).delivery()).leased_for(SHORT);
    let appended = done("append", fixture.archive.append(append)).await;
    let Some(lease) = appended.lease else { panic!("a new delivery is leased: {appended:?}") };
    lease
}

async fn claim_short(fixture: &Fixture<'_>) -> Lease {
    let claimed = done("claim", fixture.archive.claim(fixture.wants(9).leased_for(SHORT))).await;
    match claimed.leases.as_slice() {
        [(_, lease)] => *lease,
        other => panic!("one delivery is due, and {} were claimed", other.len()),
    }
}

async fn acquire_short(fixture: &Fixture<'_>, lease: Lease) -> Lease {
    let acquire = Acquire::new(lease.id()).leased_for(SHORT);
    let acquired = done("acquire", fixture.archive.acquire(acquire)).await;
    let Some(lease) = acquired.lease else { panic!("the lease has expired: {acquired:?}") };
    lease
}

/// Appends a delivery and lets its lease expire.
async fn crashed(fixture: &Fixture<'_>, body: &str) -> Lease {
    let lease = append_short(fixture, body).await;
    outlive().await;
    lease
}

pub(super) async fn expired_lease_counts_as_crash(archive: &dyn Archive) {
    let fixture = Fixture::new(archive);
    let lease = append_short(&fixture, "crash").await;
    sleep(SHORT * 9 / 10).await;
    assert!(fixture.claim(9).await.is_empty(), "a lease lasts as long as was asked for");
    assert_eq!(fixture.state(lease.id()).await, State::NEW.leased());
    sleep(Duration::from_secs(2)).await;
    let next = fixture.claim_one("the lease has expired").await;
    assert_eq!((next.attempt(), next.crashes()), (2, 1), "an expired lease counts as a crash");
    assert_ne!(next.token(), lease.token(), "every lease has a token of its own");
    assert_eq!(fixture.state(lease.id()).await, State::Leased { attempts: 2, crashes: 1 });
    assert!(!fixture.is_valid(lease).await, "an expired lease is lost");
    assert!(fixture.is_valid(next).await, "and the next one is valid");

    let lease = crashed(&fixture, "acquired").await;
    let next = acquire_short(&fixture, lease).await;
    assert_eq!((next.attempt(), next.crashes()), (2, 1), "acquire after an expired lease");
    outlive().await;
    let repeat = Append::new(fixture.sample("acquired").delivery()).leased_for(SHORT);
    let appended = done("append", archive.append(repeat)).await;
    assert_eq!(appended.receipt, Receipt::repeat(lease.id()), "the bytes are stored");
    let next = appended.lease.map(|lease| (lease.attempt(), lease.crashes()));
    assert_eq!(next, Some((3, 2)), "a repeat after an expired lease");
}

pub(super) async fn third_crash_in_a_row_is_poisoned(archive: &dyn Archive) {
    let fixture = Fixture::new(archive);
    let first = crashed(&fixture, "poison").await;
    let second = claim_short(&fixture).await;
    outlive().await;
    let third = acquire_short(&fixture, second).await;
    assert_eq!((third.attempt(), third.crashes()), (3, 2), "the third attempt");
    outlive().await;
    assert!(fixture.claim(9).await.is_empty(), "a poisoned delivery is claimed");
    let state = fixture.state(first.id()).await;
    let poisoned = matches!(state, State::Outcome(Outcome::Dead { poisoned: true, .. }));
    assert!(poisoned, "after three crashes in a row a delivery is dead and poisoned, not {state}");
    if let Some(history) = done("history", archive.history(first.id())).await {
        let last = history.last().map(|change| &change.state);
        assert_eq!(last, Some(&state), "the third crash is in the history: {history:?}");
    }
    let late = archive.settle(third, Outcome::processed(200), NOW);
    assert_fails!(late, ArchiveError::LeaseLost { .. }, "late processed of a poisoned delivery");
    let repeat = fixture.append_leased(&fixture.sample("poison").delivery()).await;
    assert_eq!((repeat.receipt, repeat.lease), (Receipt::repeat(first.id()), None), "a repeat");
    assert!(fixture.has_body(first.id()).await, "a poisoned delivery keeps its body");
    assert_eq!(fixture.retry(fixture.query()).await, 1, "retry makes it pending");
    let again = fixture.claim_one("retry").await;
    assert_eq!((again.attempt(), again.crashes()), (1, 0), "without attempts and crashes");
}

pub(super) async fn released_or_failed_attempt_is_no_crash(archive: &dyn Archive) {
    let fixture = Fixture::new(archive);
    let lease = append_short(&fixture, "released").await;
    fixture.release(lease, Release::After(NOW)).await;
    outlive().await;
    let next = claim_short(&fixture).await;
    assert_eq!((next.attempt(), next.crashes()), (1, 0), "a released lease does not expire");
    outlive().await;
    let suspect = claim_short(&fixture).await;
    fixture.release(suspect, Release::After(NOW)).await;
    let suspect = claim_short(&fixture).await;
    assert_eq!((suspect.attempt(), suspect.crashes()), (2, 1), "release keeps earlier crashes");
    fixture.settle(suspect, Outcome::failed_at(suspect.attempt(), "503")).await;
    outlive().await;
    for crashes in 0..3 {
        let lease = claim_short(&fixture).await;
        assert_eq!(lease.crashes(), crashes, "only crashes in a row count");
        outlive().await;
    }
    assert!(fixture.claim(9).await.is_empty(), "three crashes in a row");
}

pub(super) async fn late_processed_is_accepted_until_settled(archive: &dyn Archive) {
    let processed = State::from(Outcome::processed(200));
    let fixture = Fixture::new(archive);
    let late = crashed(&fixture, "pending").await;
    fixture.settle(late, Outcome::processed(200)).await;
    assert_eq!(fixture.state(late.id()).await, processed, "late processed while pending");
    assert!(fixture.claim(9).await.is_empty(), "a processed delivery runs again");

    let late = crashed(&fixture, "leased").await;
    let next = fixture.claim_one("the lease has expired").await;
    fixture.settle(late, Outcome::processed(200)).await;
    assert_eq!(fixture.state(late.id()).await, processed, "late processed while leased");
    assert!(!fixture.is_valid(next).await, "late processed ends the lease of the next holder");
    for outcome in [Outcome::processed(500), Outcome::failed("503"), Outcome::dead("404")] {
        let settle = archive.settle(next, outcome, NOW);
        assert_fails!(settle, ArchiveError::LeaseLost { .. }, "settle after late processed");
    }
    assert_eq!(fixture.state(late.id()).await, processed, "what was processed stays processed");
    outlive().await;
    assert!(fixture.claim(9).await.is_empty(), "a processed delivery runs again");

    let late = crashed(&fixture, "failed").await;
    let next = fixture.claim_one("the lease has expired").await;
    fixture.settle(next, Outcome::failed("503")).await;
    fixture.settle(late, Outcome::processed(200)).await;
    assert_eq!(fixture.state(late.id()).await, processed, "late processed while failed");

    let late = crashed(&fixture, "dead").await;
    let next = fixture.claim_one("the lease has expired").await;
    fixture.settle(next, Outcome::dead("404")).await;
    let settle = archive.settle(late, Outcome::processed(200), NOW);
    assert_fails!(settle, ArchiveError::LeaseLost { .. }, "late processed of a settled delivery");
}

pub(super) async fn late_failure_is_rejected(archive: &dyn Archive) {
    let fixture = Fixture::new(archive);
    let late = crashed(&fixture, "late").await;
    let rejected = async |when: &str| {
        let id = late.id();
        for outcome in [
            Outcome::failed("503"),
            Outcome::dead("404"),
            Outcome::undecodable("$"),
            Outcome::repeat(id),
        ] {
            let settle = archive.settle(late, outcome, NOW);
            assert_fails!(settle, ArchiveError::LeaseLost { .. }, "late settle");
        }
        let release = archive.release(late, Release::After(NOW));
        assert_fails!(release, ArchiveError::LeaseLost { .. }, "late release");
        let begin = archive.begin(late, fixture.inference("job", "1", "bytes"));
        assert_fails!(begin, ArchiveError::LeaseLost { .. }, "late begin");
        assert!(!fixture.is_valid(late).await, "late renew {when}");
    };
    rejected("while nobody holds a lease").await;
    let next = fixture.claim_one("the lease has expired").await;
    rejected("while somebody else holds a lease").await;
    assert!(fixture.is_valid(next).await, "a late holder does not end the next lease");
    fixture.settle(next, Outcome::dead("404")).await;
    rejected("after the delivery was settled").await;
    assert_eq!(fixture.state(late.id()).await, Outcome::dead("404").into());
}

pub(super) async fn renewed_lease_does_not_expire(archive: &dyn Archive) {
    let fixture = Fixture::new(archive);
    let lease = append_short(&fixture, "renewed").await;
    for _ in 0..5 {
        sleep(SHORT * 8 / 10).await;
        assert!(done("renew", archive.renew(vec![lease], SHORT)).await.is_empty(), "it is held");
        assert!(fixture.claim(9).await.is_empty(), "a renewed lease does not expire");
    }
    fixture.settle(lease, Outcome::processed(200)).await;
    let lease = append_short(&fixture, "shortened").await;
    assert!(done("renew", archive.renew(vec![lease], SHORT / 5)).await.is_empty(), "it is held");
    sleep(SHORT / 2).await;
    let next = fixture.claim_one("renew sets the end of the lease").await;
    assert_eq!(next.crashes(), 1, "a lease that was renewed and expired");
}

pub(super) async fn suspects_are_claimed_one_at_a_time(archive: &dyn Archive) {
    let fixture = Fixture::new(archive);
    for number in 0..3 {
        append_short(&fixture, &format!("suspect {number}")).await;
    }
    outlive().await;
    fixture.pending("fresh 1").await;
    fixture.pending("fresh 2").await;
    let claim = async |suspects| -> Vec<u32> {
        let claim = archive.claim(fixture.wants(9).suspects(suspects));
        let leases = done("claim", claim).await.leases;
        let mut crashes: Vec<_> = leases.iter().map(|(_, lease)| lease.crashes()).collect();
        crashes.sort_unstable();
        crashes
    };
    assert_eq!(claim(1).await, [0, 0, 1], "one suspect, and all others");
    assert!(claim(0).await.is_empty(), "no suspects");
    assert_eq!(fixture.claim(9).await.len(), 1, "one suspect by default");
    assert_eq!(claim(9).await, [1], "the last suspect");
}

pub(super) async fn flight_ends_with_expired_lease(archive: &dyn Archive) {
    let fixture = Fixture::new(archive);
    let inference = fixture.inference("job", "1", "bytes");
    let (blocked, second) = (fixture.leased("blocked").await, fixture.leased("second").await);
    let holder = append_short(&fixture, "holder").await;
    let started = Begun::Started { earlier: None };
    assert_eq!(fixture.begin(holder, inference).await, started, "the flight is free");
    assert_eq!(fixture.begin(second, inference).await, Begun::Busy, "single flight");
    fixture.release(blocked, Release::WhenFree(inference.id())).await;
    outlive().await;
    assert_eq!(fixture.begin(second, inference).await, started, "it ends with an expired lease");
    fixture.settle(second, Outcome::processed(200)).await;
    outlive().await;
    let mut due: Vec<_> = fixture.claim(9).await.iter().map(Lease::id).collect();
    due.sort_unstable();
    let mut expected = [holder.id(), blocked.id()];
    expected.sort_unstable();
    assert_eq!(due, expected, "the crashed one, and the one that waited for it, are due");
}

pub(super) async fn removed_delivery_is_not_claimed_after_expiry(archive: &dyn Archive) {
    let fixture = Fixture::new(archive);
    let lease = append_short(&fixture, "removed").await;
    assert_eq!(fixture.remove(fixture.query()).await, 1, "a leased delivery is removed");
    outlive().await;
    assert!(fixture.claim(9).await.is_empty(), "a removed delivery is claimed");
    let acquired = fixture.acquire(Acquire::new(lease.id()).reviving()).await;
    assert_eq!(acquired.lease, None, "a removed delivery is leased");
    let again = fixture.sample("removed").delivery();
    let receipt = fixture.append(&again).await.receipt;
    assert_eq!(receipt, Receipt::fresh(again.id()), "the bytes are gone: store them");
    fixture.settle(lease, Outcome::processed(200)).await;
    let kind = fixture.state(lease.id()).await.kind();
    assert_eq!(kind, StateKind::Processed, "late processed of a removed delivery");
}
