//! Scan, ledger and counts select the same deliveries for every query condition.

use std::time::{Duration, SystemTime};

use super::support::{Fixture, LATER, NOW, done};
use crate::{
    archive::{Archive, Query, Release, StateFilter},
    delivery::{DeliveryId, Outcome, StateKind},
};

pub(super) async fn query_selects_by_id_model_and_time(archive: &dyn Archive) {
    let (fixture, other) = (Fixture::new(archive), Fixture::new(archive));
    let mut ids = Vec::new();
    for second in [30_u64, 10, 20] {
        let sample = fixture.sample(&second.to_string()).received_at(Duration::from_secs(second));
        ids.push(fixture.append(&sample.delivery()).await.receipt.id());
    }
    let elsewhere = other.pending("elsewhere").await;
    let [at_30, at_10, at_20] = ids.as_slice() else { return };
    let at = |second| SystemTime::UNIX_EPOCH + Duration::from_secs(second);
    let query = || fixture.query();
    let cases = [
        (query(), vec![*at_30, *at_10, *at_20], "in the order of append"),
        (query().id(*at_10), vec![*at_10], "by id"),
        (query().id(elsewhere), vec![], "by id, in another model"),
        (Query::all().id(elsewhere), vec![elsewhere], "by id alone"),
        (query().id(DeliveryId::new()), vec![], "by an unknown id"),
        (query().ids([]), vec![], "by no ids"),
        (query().ids([*at_20, *at_30]), vec![*at_30, *at_20], "by ids, in the order of append"),
        (
            query().ids([*at_10, elsewhere, DeliveryId::new()]),
            vec![*at_10],
            "by ids of which one is here",
        ),
        (query().since(at(20)), vec![*at_30, *at_20], "since a time, included"),
        (query().before(at(20)), vec![*at_10], "before a time, excluded"),
        (query().since(at(11)).before(at(30)), vec![*at_20], "between two times"),
        (query().one_in(1), vec![*at_30, *at_10, *at_20], "one in one"),
    ];
    for (query, expected, what) in cases {
        assert_eq!(fixture.ids(query).await, expected, "a scan {what}");
    }
    let ranges = vec![*at_10..=*at_10, elsewhere..=elsewhere, *at_30..=*at_30];
    let found = done("ledger_between", archive.ledger_between(ranges)).await;
    let found: Vec<_> = found.into_iter().map(|entry| entry.id).collect();
    assert_eq!(found, [*at_30, *at_10, elsewhere], "ids of ranges, in the order of append");
    let sampled = fixture.ids(query().one_in(2)).await;
    assert!(sampled.iter().all(|id| ids.contains(id)), "a sample is a part of the whole");
    assert_eq!(fixture.ids(query().one_in(2)).await, sampled, "a sample is stable");
}

pub(super) async fn query_selects_by_state(archive: &dyn Archive) {
    let fixture = Fixture::new(archive);
    let of = DeliveryId::new();
    let mut ids = vec![(StateKind::Pending, fixture.pending("pending").await)];
    ids.push((StateKind::Leased, fixture.leased("leased").await.id()));
    for outcome in [
        Outcome::processed(200),
        Outcome::failed("failed"),
        Outcome::dead("dead"),
        Outcome::poisoned("poisoned"),
        Outcome::undecodable("undecodable"),
        Outcome::repeat(of),
    ] {
        ids.push((outcome.kind(), fixture.settled(&outcome.to_string(), outcome).await));
    }
    let filters = [
        (
            StateFilter::Any,
            vec![
                StateKind::Pending,
                StateKind::Leased,
                StateKind::Failed,
                StateKind::Processed,
                StateKind::Dead,
                StateKind::Undecodable,
                StateKind::Repeat,
            ],
        ),
        (StateFilter::Pending, vec![StateKind::Pending, StateKind::Leased]),
        (StateFilter::Unsettled, vec![StateKind::Pending, StateKind::Leased, StateKind::Failed]),
        (
            StateFilter::Settled,
            vec![StateKind::Processed, StateKind::Dead, StateKind::Undecodable, StateKind::Repeat],
        ),
        (StateFilter::Finished, vec![StateKind::Processed, StateKind::Repeat]),
    ];
    let only = StateKind::ALL.map(|kind| (StateFilter::Only(kind), vec![kind]));
    for (filter, kinds) in filters.into_iter().chain(only) {
        let selected = ids.iter().filter(|(kind, _)| kinds.contains(kind));
        let expected: Vec<_> = selected.map(|(_, id)| *id).collect();
        let found = fixture.ids(fixture.query().states(filter)).await;
        assert_eq!(found, expected, "a scan by {filter:?}");
    }
}

pub(super) async fn query_selects_by_inference(archive: &dyn Archive) {
    let fixture = Fixture::new(archive);
    let inference = |version| Some(fixture.inference("job", version, "bytes"));
    let mut expected = Vec::new();
    for outcome in [Outcome::processed(200), Outcome::failed("503"), Outcome::dead("404")] {
        for version in ["1", "2"] {
            let outcome = outcome.clone().with_inference(inference(version));
            expected.push(fixture.settled(&format!("{outcome} {version}"), outcome).await);
        }
    }
    let other = Some(fixture.inference("other", "1", "bytes"));
    fixture.settled("other", Outcome::processed(200).with_inference(other)).await;
    fixture.pending("pending").await;
    let query = || fixture.query().inference(fixture.inference_id("job"));
    assert_eq!(fixture.ids(query()).await, expected, "every version and outcome of an inference");
    let dead = fixture.ids(query().state(StateKind::Dead)).await;
    assert_eq!(dead, expected.get(4..).unwrap_or_default(), "an inference that is dead");
    assert_eq!(fixture.retry(query()).await, 4, "retry by inference");
    assert_eq!(fixture.remove(query()).await, 2, "remove by inference, without what is pending");
}

pub(super) async fn counts_follow_every_transition(archive: &dyn Archive) {
    let fixture = Fixture::new(archive);
    let expect = async |what: &str, expected: &[(StateKind, u64)]| {
        let counts = done("count", archive.counts()).await;
        for kind in StateKind::ALL {
            let number = expected.iter().find(|(other, _)| *other == kind).map_or(0, |(_, n)| *n);
            assert_eq!(counts.of(&fixture.model, kind), number, "{kind} deliveries {what}");
        }
        counts
    };
    expect("before append", &[]).await;
    let sample = fixture.sample("old").received_at(Duration::from_secs(1));
    let delivery = sample.delivery();
    let _ = fixture.append(&delivery).await;
    let counts = expect("after append", &[(StateKind::Pending, 1)]).await;
    let oldest = counts.oldest_unsettled();
    assert!(oldest.is_some(), "the time of the oldest delivery that is not settled");
    let lease = fixture.claim_one("append").await;
    expect("after claim", &[(StateKind::Leased, 1)]).await;
    fixture.release(lease, Release::After(NOW)).await;
    expect("after release", &[(StateKind::Pending, 1)]).await;
    let lease = fixture.claim_one("release").await;
    done("settle", archive.settle(lease, Outcome::failed("503"), LATER)).await;
    expect("after settle as failed", &[(StateKind::Failed, 1)]).await;
    fixture.retry(fixture.query()).await;
    expect("after retry", &[(StateKind::Pending, 1)]).await;
    let lease = fixture.claim_one("retry").await;
    fixture.settle(lease, Outcome::processed(200)).await;
    fixture.leased("leased").await;
    expect("after settle", &[(StateKind::Processed, 1), (StateKind::Leased, 1)]).await;
    let _ = fixture.append(&sample.delivery()).await;
    expect("after a repeat", &[(StateKind::Processed, 1), (StateKind::Leased, 1)]).await;
    fixture.remove(fixture.query()).await;
    expect("after remove", &[]).await;
}
