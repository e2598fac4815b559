//! Outcomes are stored unchanged. Retry and remove change only the deliveries that they select.
#![expect(clippy::panic, reason = "the suite reports a violation by panicking")]

use std::time::{Duration, SystemTime};

use super::support::{Fixture, LATER, NOW, done};
use crate::{
    archive::{Acquire, Archive, Lease, Query, Release},
    delivery::{DeliveryId, Outcome, Receipt, State, StateKind},
};

fn outcomes(fixture: &Fixture<'_>) -> [Outcome; 9] {
    let inference = Some(fixture.inference("job", "1", "bytes"));
    let due = SystemTime::now() + Duration::from_secs(60);
    [
        Outcome::processed(204),
        Outcome::processed(200).with_inference(inference),
        Outcome::failed_at(7, "503: \"again\"\tlater ü"),
        Outcome::failed_at(2, "503").due_at(due).with_inference(inference),
        Outcome::dead("").with_inference(inference),
        Outcome::dead("a reason ".repeat(100)),
        Outcome::poisoned("crashed"),
        Outcome::undecodable("$.a[0]: expected a number"),
        Outcome::repeat(DeliveryId::new()),
    ]
}

pub(super) async fn outcome_is_stored_exactly(archive: &dyn Archive) {
    let fixture = Fixture::new(archive);
    for (number, outcome) in outcomes(&fixture).into_iter().enumerate() {
        let id = fixture.settled(&number.to_string(), outcome.clone()).await;
        let expected = State::from(outcome);
        assert_eq!(fixture.state(id).await, expected, "the outcome as it was settled");
        let Some(found) = done("get", archive.get(id)).await else {
            panic!("a settled delivery has no body");
        };
        assert_eq!(found.state, expected, "get returns the outcome as it was settled");
    }
    let failed = fixture.claim(9).await;
    assert_eq!(failed.len(), 2, "of settled deliveries only the failed ones are claimed");
}

pub(super) async fn wait_beyond_the_clock_is_not_due_and_is_no_error(archive: &dyn Archive) {
    let fixture = Fixture::new(archive);
    let failed = fixture.leased("failed").await;
    done("settle", archive.settle(failed, Outcome::failed("503"), Duration::MAX)).await;
    let released = fixture.leased("released").await;
    fixture.release(released, Release::After(Duration::MAX)).await;
    assert!(fixture.claim(9).await.is_empty(), "a delivery is due before its time");
    for lease in [failed, released] {
        let acquire = Acquire::new(lease.id()).leased_for(Duration::MAX);
        let acquired = done("acquire for a long time", archive.acquire(acquire)).await;
        let Some(lease) = acquired.lease else {
            panic!("a delivery that is not due can be leased by its id, not {acquired:?}");
        };
        done("renew for a long time", archive.renew(vec![lease], Duration::MAX)).await;
        fixture.settle(lease, Outcome::processed(200)).await;
    }
}

pub(super) async fn retry_changes_only_dead_undecodable_and_failed(archive: &dyn Archive) {
    let fixture = Fixture::new(archive);
    let pending = fixture.pending("pending").await;
    let leased = fixture.leased("leased").await;
    let later = fixture.leased("later").await;
    done("settle", archive.settle(later, Outcome::failed("503"), LATER)).await;
    let mut expected = vec![later.id()];
    for (number, outcome) in outcomes(&fixture).into_iter().enumerate() {
        let retried = [StateKind::Failed, StateKind::Dead, StateKind::Undecodable];
        let is_retried = retried.contains(&outcome.kind());
        let id = fixture.settled(&number.to_string(), outcome).await;
        expected.extend(is_retried.then_some(id));
    }
    assert_eq!(fixture.retry(fixture.query().state(StateKind::Processed)).await, 0);
    assert_eq!(fixture.retry(fixture.query().id(later.id())).await, 1, "retry by id");
    assert_eq!(fixture.retry(fixture.query().id(later.id())).await, 0, "it is pending already");
    let retried = fixture.retry(fixture.query()).await;
    assert_eq!(retried, expected.len() as u64 - 1, "retry of a model");
    for id in &expected {
        assert_eq!(fixture.state(*id).await, State::NEW, "a retried delivery has no attempts");
    }
    assert!(fixture.is_valid(leased).await, "retry does not touch a lease");
    let mut due: Vec<_> = fixture.claim(99).await.iter().map(Lease::id).collect();
    expected.push(pending);
    due.sort_unstable();
    expected.sort_unstable();
    assert_eq!(due, expected, "retried deliveries are due at once");
}

/// An archive that keeps no history conforms.
pub(super) async fn history_has_every_outcome(archive: &dyn Archive) {
    let fixture = Fixture::new(archive);
    let pending = fixture.pending("pending").await;
    let Some(none) = done("history", archive.history(pending)).await else { return };
    assert!(none.is_empty(), "nothing has changed since the append, not {none:?}");
    let unknown = done("history", archive.history(DeliveryId::new())).await;
    assert_eq!(unknown, Some(Vec::new()), "an unknown delivery has an empty history");

    let (failed, dead) = (Outcome::failed("503: \"again\"\tlater ü"), Outcome::dead("404"));
    let id = fixture.settled("changed", failed.clone()).await;
    fixture.settle_acquired(id, dead.clone()).await;
    fixture.retry(fixture.query().id(id)).await;
    fixture.settle_acquired(id, Outcome::undecodable("$.a")).await;
    let revived = fixture.append(&fixture.sample("changed").delivery()).await;
    assert_eq!(revived.receipt, Receipt::repeat(id), "a repeat revives an undecodable delivery");
    fixture.settle_acquired(id, Outcome::processed(200)).await;

    let history = done("history", archive.history(id)).await.unwrap_or_default();
    assert!(history.is_sorted_by_key(|change| change.at), "oldest first, not {history:?}");
    let states = history.into_iter().map(|change| change.state);
    let found: Vec<_> = states.filter(|state| state.kind() != StateKind::Leased).collect();
    let expected: [State; 6] = [
        failed.into(),
        dead.into(),
        State::NEW,
        Outcome::undecodable("$.a").into(),
        State::NEW,
        Outcome::processed(200).into(),
    ];
    assert_eq!(found, expected, "every outcome and return to pending is in the history");
}

pub(super) async fn remove_changes_only_selected_deliveries(archive: &dyn Archive) {
    let fixture = Fixture::new(archive);
    let pending = fixture.pending("pending").await;
    let failed = fixture.settled("failed", Outcome::failed("503")).await;
    let dead = fixture.settled("dead", Outcome::dead("404")).await;
    let processed = fixture.settled("processed", Outcome::processed(200)).await;
    let removed = fixture.remove(fixture.query().state(StateKind::Dead)).await;
    assert_eq!(removed, 1, "one delivery is dead");
    let removed = fixture.remove(fixture.query().settled()).await;
    assert_eq!(removed, 1, "one delivery with a body is settled");
    assert_eq!(fixture.ids(fixture.query()).await, [pending, failed], "two are removed");
    for id in [dead, processed] {
        let query = || Query::all().id(id);
        assert!(!fixture.has_body(id).await, "get finds a removed delivery");
        assert!(fixture.ids(query()).await.is_empty(), "a scan finds a removed delivery");
        assert_eq!(fixture.remove(query()).await, 0, "a removed delivery is removed again");
        assert_eq!(fixture.retry(query()).await, 0, "a removed delivery is retried");
        let acquired = fixture.acquire(Acquire::new(id).reviving()).await;
        assert_eq!(acquired.lease, None, "a removed delivery is leased");
    }
    let state = fixture.state(processed).await;
    assert_eq!(state, Outcome::processed(200).into(), "the state of a removed delivery stays");
    let repeat = fixture.append(&fixture.sample("processed").delivery()).await;
    assert_eq!(repeat.receipt, Receipt::repeat(processed), "and its bytes are still a repeat");
    let again = fixture.sample("dead").delivery();
    let appended = fixture.append(&again).await;
    assert_eq!(appended.receipt, Receipt::fresh(again.id()), "the bytes are gone: store them");
    assert_eq!(fixture.scan(Query::all().id(again.id())).await, [again], "and they are found");
}

pub(super) async fn settle_is_accepted_after_removal(archive: &dyn Archive) {
    let fixture = Fixture::new(archive);
    for outcome in outcomes(&fixture) {
        let body = outcome.to_string();
        let lease = fixture.leased(&body).await;
        assert_eq!(fixture.remove(fixture.query().id(lease.id())).await, 1, "it has a body");
        assert!(fixture.is_valid(lease).await, "a lease that is held goes on after removal");
        done("settle what was removed", archive.settle(lease, outcome.clone(), NOW)).await;
        assert_eq!(fixture.state(lease.id()).await, State::from(outcome), "its outcome");
        assert!(!fixture.has_body(lease.id()).await, "settle does not bring a body back");
        assert!(fixture.claim(9).await.is_empty(), "a removed delivery is claimed");
    }
}
