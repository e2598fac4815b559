use std::time::Duration;

use super::{
    super::Sample,
    ask::{assert_kept, done, found, fresh_model, name},
};
use crate::{
    archive::{Archive, ArchiveError, Query},
    delivery::{DeliveryId, Outcome, OutcomeKind},
};

pub(super) async fn keeps_the_latest_outcome(archive: &dyn Archive) {
    let delivery = Sample::of(&fresh_model()).delivery();
    let id = delivery.id();
    let _ = done("append", archive.append(delivery.clone())).await;
    let before = done("ask for the outcome", archive.outcome(id)).await;
    assert_eq!(before, None, "a delivery has no outcome before it is settled");
    for outcome in [Outcome::failed("the first time"), Outcome::Processed { status: 204 }] {
        done("settle", archive.settle(id, outcome.clone())).await;
        let now = done("ask for the outcome", archive.outcome(id)).await;
        assert_eq!(now.as_ref(), Some(&outcome), "the latest outcome counts");
        assert_kept(archive, &delivery, Some(outcome)).await;
    }
    let unknown = DeliveryId::new();
    let refused = archive.settle(unknown, Outcome::Processed { status: 200 }).await;
    let named = matches!(&refused, Err(ArchiveError::Unknown { id }) if *id == unknown);
    assert!(named, "to settle a delivery that is not there must be refused, not {refused:?}");
    let none = done("ask for the outcome of no delivery", archive.outcome(unknown)).await;
    assert_eq!(none, None, "what is not there has no outcome");
}

pub(super) async fn finds_by_query(archive: &dyn Archive) {
    let model = fresh_model();
    let second = Duration::from_secs;
    let at = |seconds: u64| {
        let sample = Sample::of(&model).body(format!("{seconds}"));
        sample.received_at(second(seconds)).delivery()
    };
    // Not in the order of time: a scan goes by the order of the archive.
    let (a, b, c) = (at(30), at(10), at(20));
    for delivery in [&a, &b, &c] {
        let _ = done("append", archive.append(delivery.clone())).await;
    }
    done("settle", archive.settle(b.id(), Outcome::dead("for the query"))).await;
    let time = |seconds| std::time::UNIX_EPOCH + second(seconds);
    let of_model = || Query::all().model(name(&model));
    for (query, wanted) in [
        (of_model(), vec![&a, &b, &c]),
        (of_model().since(time(20)), vec![&a, &c]),
        (of_model().before(time(20)), vec![&b]),
        (of_model().since(time(10)).before(time(30)), vec![&b, &c]),
        (of_model().outcome(OutcomeKind::Dead), vec![&b]),
        (of_model().outcome(OutcomeKind::Processed), vec![]),
        (of_model().pending(), vec![&a, &c]),
        (Query::all().model(name(&fresh_model())), vec![]),
    ] {
        let what = format!("{query:?}");
        let found = found(archive, query).await;
        assert_eq!(found.iter().collect::<Vec<_>>(), wanted, "{what} finds other deliveries");
    }
}
