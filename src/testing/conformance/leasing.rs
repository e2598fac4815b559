//! Claim, acquire and renew with several deliveries and models.
#![expect(clippy::panic, reason = "the suite reports a violation by panicking")]

use std::{collections::HashSet, time::Duration};

use tokio::time::{Instant, sleep};

use super::support::{
    Fixture, Job, LATER, LEASE, NOW, assert_fails, done, join, join_on_threads, leases,
};
use crate::{
    archive::{Acquire, Archive, ArchiveError, Claim, Claimed, Lease, LeaseToken, Query, Release},
    delivery::{DeliveryId, ModelName, Outcome, State, StateKind},
};

pub(super) async fn claim_takes_models_in_rounds(archive: &dyn Archive) {
    let [a, b, unwanted] = [(); 3].map(|()| Fixture::new(archive));
    let (a1, a2) = (a.pending("1").await, a.pending("2").await);
    let (a3, b1) = (a.pending("3").await, b.pending("1").await);
    let unwanted_id = unwanted.pending("1").await;
    let claim = async |wants: &[(&ModelName, usize)], limit| -> Vec<DeliveryId> {
        let wants = wants.iter().map(|(model, limit)| ((*model).clone(), *limit)).collect();
        let claim = archive.claim(Claim::new(wants, limit).leased_for(LEASE));
        let claimed = done("claim", claim).await;
        for (model, lease) in &claimed.leases {
            let expected = if lease.id() == b1 { &b.model } else { &a.model };
            assert_eq!(model, expected, "a claim returns the model of each delivery");
            assert_eq!((lease.attempt(), lease.crashes()), (1, 0), "the first attempt");
            assert_eq!(a.state(lease.id()).await, State::NEW.leased(), "the state under a lease");
        }
        let ids = claimed.leases.iter().map(|(_, lease)| lease.id()).collect();
        for lease in leases(&claimed) {
            a.release(lease, Release::After(NOW)).await;
        }
        // Released deliveries are now due later than the others. Restore the original order.
        for id in [a1, a2, a3, b1] {
            let lease = a.acquire(Acquire::new(id)).await.lease;
            let Some(lease) = lease else { panic!("a released delivery can be leased again") };
            a.release(lease, Release::After(NOW)).await;
        }
        ids
    };
    let both = [(&a.model, 9), (&b.model, 9)];
    assert_eq!(claim(&both, 3).await, [a1, b1, a2], "a claim takes the models in rounds");
    assert_eq!(claim(&both, 9).await, [a1, b1, a2, a3], "a claim takes all that is due");
    assert_eq!(claim(&[(&b.model, 9), (&a.model, 9)], 1).await, [b1], "in order of preference");
    assert_eq!(claim(&[(&a.model, 1), (&b.model, 9)], 9).await, [a1, b1], "limit of a model");
    assert_eq!(claim(&[(&a.model, 2)], 9).await, [a1, a2], "the limit of a model");
    assert_eq!(claim(&[(&a.model, 0), (&b.model, 9)], 9).await, [b1], "a model with limit 0");
    assert!(claim(&both, 0).await.is_empty(), "a claim with limit 0");
    assert!(claim(&[], 9).await.is_empty(), "a claim of no model");
    let state = unwanted.state(unwanted_id).await;
    assert_eq!(state, State::NEW, "a model that is not wanted is not claimed");
}

pub(super) async fn claim_skips_paused_models(archive: &dyn Archive) {
    let [a, b] = [(); 2].map(|()| Fixture::new(archive));
    let (a1, b1) = (a.pending("1").await, b.pending("1").await);
    let set_paused = async |paused| {
        done("set_paused", archive.set_paused(a.model.clone(), paused)).await;
        let found = done("paused", archive.paused()).await;
        assert_eq!(found.contains(&a.model), paused, "the paused models");
    };
    let claim = async || {
        let wants = vec![(a.model.clone(), 9), (b.model.clone(), 9)];
        let claimed = done("claim", archive.claim(Claim::new(wants, 9).leased_for(LEASE))).await;
        let ids: Vec<_> = claimed.leases.iter().map(|(_, lease)| lease.id()).collect();
        for lease in leases(&claimed) {
            a.release(lease, Release::After(NOW)).await;
        }
        ids
    };
    set_paused(true).await;
    set_paused(true).await;
    assert_eq!(claim().await, [b1], "a paused model is not claimed");
    assert_eq!(a.claimed(9).await, Claimed::default(), "nothing of a paused model is due");
    let Some(lease) = a.acquire(Acquire::new(a1)).await.lease else {
        panic!("a delivery of a paused model can be acquired")
    };
    a.release(lease, Release::After(NOW)).await;
    set_paused(false).await;
    set_paused(false).await;
    assert_eq!(claim().await, [a1, b1], "a model that is no longer paused is claimed");
}

pub(super) async fn claim_reports_when_next_delivery_is_due(archive: &dyn Archive) {
    let (fixture, other) = (Fixture::new(archive), Fixture::new(archive));
    assert_eq!(fixture.claimed(9).await, Claimed::default(), "nothing waits in a new model");
    let lease = fixture.leased("1").await;
    assert_eq!(fixture.claimed(9).await, Claimed::default(), "a leased delivery does not wait");
    done("settle", archive.settle(lease, Outcome::failed("503"), LATER)).await;
    let claimed = fixture.claimed(9).await;
    assert!(claimed.leases.is_empty(), "a failed delivery is not due before its time");
    let soon = LATER * 9 / 10..=LATER + Duration::from_secs(1);
    let next_due = claimed.next_due.unwrap_or_default();
    assert!(soon.contains(&next_due), "the next delivery is due in {next_due:?}, not an hour");
    let released = fixture.leased("2").await;
    fixture.release(released, Release::After(LATER / 2)).await;
    let next_due = fixture.claimed(9).await.next_due.unwrap_or(LATER);
    assert!(next_due <= LATER / 2 + Duration::from_secs(1), "the earliest is due, {next_due:?}");
    assert_eq!(other.claimed(9).await, Claimed::default(), "another model does not count");
    fixture.remove(fixture.query()).await;
    assert_eq!(fixture.claimed(9).await, Claimed::default(), "a removed delivery does not wait");
}

pub(super) async fn delivery_is_due_after_its_wait(archive: &dyn Archive) {
    let wait = Duration::from_millis(400);
    for is_failed in [true, false] {
        let fixture = Fixture::new(archive);
        let (lease, start) = (fixture.leased("waits").await, Instant::now());
        if is_failed {
            done("settle", archive.settle(lease, Outcome::failed("503"), wait)).await;
        } else {
            fixture.release(lease, Release::After(wait)).await;
        }
        while fixture.claim(9).await.is_empty() {
            assert!(start.elapsed() < 50 * wait, "a delivery is never due after its wait");
            sleep(wait / 10).await;
        }
        assert!(start.elapsed() >= wait * 9 / 10, "a delivery is due before its wait is over");
    }
}

/// Several workers claim concurrently, on one thread and on several.
pub(super) async fn no_delivery_is_claimed_twice(archive: &dyn Archive) {
    for on_threads in [false, true] {
        let fixture = Fixture::new(archive);
        let mut ids = HashSet::new();
        for number in 0..60 {
            ids.insert(fixture.pending(&number.to_string()).await);
        }
        let mut claimed: Vec<Lease> = Vec::new();
        while claimed.len() < ids.len() {
            let claim =
                || -> Job<'_, Claimed> { Box::pin(done("claim", archive.claim(fixture.wants(7)))) };
            let results = if on_threads {
                join_on_threads((0..4).map(|_| Box::new(claim) as Box<_>).collect()).await
            } else {
                join((0..4).map(|_| claim()).collect()).await
            };
            let before = claimed.len();
            claimed.extend(results.iter().flat_map(leases));
            assert!(claimed.len() > before, "deliveries are due, and nobody gets one");
        }
        let leased: HashSet<_> = claimed.iter().map(Lease::id).collect();
        assert_eq!(claimed.len(), leased.len(), "a delivery is claimed twice");
        assert_eq!(leased, ids, "all deliveries are claimed");
        let tokens: HashSet<_> = claimed.iter().map(Lease::token).collect();
        assert_eq!(tokens.len(), ids.len(), "every lease has a token of its own");
    }
}

pub(super) async fn attempts_are_counted(archive: &dyn Archive) {
    let fixture = Fixture::new(archive);
    let first = fixture.leased("attempts").await;
    assert_eq!((first.attempt(), first.crashes()), (1, 0), "the attempt of an append");
    fixture.settle(first, Outcome::failed_at(first.attempt(), "503")).await;
    let second = fixture.claim_one("failed with retry_in 0").await;
    assert_eq!(second.attempt(), 2, "the attempt of a claim after a failure");
    fixture.release(second, Release::After(NOW)).await;
    assert_eq!(fixture.state(second.id()).await, State::Pending { attempts: 1, crashes: 0 });
    let third = fixture.acquire(Acquire::new(second.id())).await;
    let again = third.lease.map(|lease| lease.attempt());
    assert_eq!(again, Some(2), "a released attempt does not count");
    assert_eq!(third.state, State::Leased { attempts: 2, crashes: 0 }, "the state it returns");
}

pub(super) async fn unknown_delivery_has_no_lease(archive: &dyn Archive) {
    use ArchiveError::{LeaseLost, Unknown};
    let fixture = Fixture::new(archive);
    let unknown = DeliveryId::new();
    let lease = Lease::new(unknown, LeaseToken::new(), 1, 0);
    let acquire = archive.acquire(Acquire::new(unknown));
    assert_fails!(acquire, Unknown { .. }, "acquire of an unknown delivery");
    for outcome in [Outcome::processed(200), Outcome::dead("404")] {
        let settle = archive.settle(lease, outcome, NOW);
        assert_fails!(settle, Unknown { .. }, "settle of an unknown delivery");
    }
    let release = archive.release(lease, Release::After(NOW));
    assert_fails!(release, Unknown { .. } | LeaseLost { .. }, "release of an unknown delivery");
    let begin = archive.begin(lease, fixture.inference("job", "1", "bytes"));
    assert_fails!(begin, Unknown { .. } | LeaseLost { .. }, "begin of an unknown delivery");
    assert!(!fixture.is_valid(lease).await, "the lease of an unknown delivery is lost");
    let query = Query::all().id(unknown);
    assert_eq!(fixture.retry(query.clone()).await, 0, "retry of an unknown delivery");
    assert_eq!(fixture.remove(query).await, 0, "remove of an unknown delivery");
}

pub(super) async fn renew_returns_only_lost_leases(archive: &dyn Archive) {
    let fixture = Fixture::new(archive);
    let mut all = Vec::new();
    for body in ["valid", "released", "settled", "also valid", "replaced"] {
        all.push(fixture.leased(body).await);
    }
    let [valid, released, settled, also_valid, replaced] = all.as_slice() else { return };
    fixture.release(*released, Release::After(NOW)).await;
    fixture.settle(*settled, Outcome::processed(200)).await;
    fixture.release(*replaced, Release::After(NOW)).await;
    let forged = Lease::new(valid.id(), LeaseToken::new(), valid.attempt(), valid.crashes());
    let Some(next) = fixture.acquire(Acquire::new(replaced.id())).await.lease else {
        panic!("a released delivery can be leased again");
    };
    let mut lost = done("renew", archive.renew(all.clone(), LEASE)).await;
    let mut expected = vec![released.id(), settled.id(), replaced.id()];
    lost.sort_unstable();
    expected.sort_unstable();
    assert_eq!(lost, expected, "renew returns the deliveries whose lease was lost");
    assert!(done("renew", archive.renew(Vec::new(), LEASE)).await.is_empty(), "renew of nothing");
    assert!(!fixture.is_valid(forged).await, "another token is not renewed");
    for lease in [*valid, *also_valid, next] {
        assert!(fixture.is_valid(lease).await, "a lease that is held stays valid");
    }
    let state = fixture.state(released.id()).await;
    assert_eq!(state.kind(), StateKind::Pending, "renew does not lease again");
}
