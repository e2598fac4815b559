use std::time::Duration;

use super::{
    super::Sample,
    ask::{assert_kept, done, found, fresh_model, lines, name},
};
use crate::{
    archive::{Archive, ArchiveError, Line, Query},
    delivery::{Delivery, DeliveryId, InferenceDigest, InferenceKey, Outcome, OutcomeKind},
};

pub(super) async fn keeps_the_latest_outcome(archive: &dyn Archive) {
    let delivery = Sample::of(&fresh_model()).delivery();
    let id = delivery.id();
    let _ = done("append", archive.append(delivery.clone())).await;
    let before = done("ask for the outcome", archive.outcome(id)).await;
    assert_eq!(before, None, "a delivery has no outcome before it is settled");
    for outcome in [Outcome::failed("the first time"), Outcome::processed(204)] {
        done("settle", archive.settle(id, outcome.clone())).await;
        let now = done("ask for the outcome", archive.outcome(id)).await;
        assert_eq!(now.as_ref(), Some(&outcome), "the latest outcome counts");
        assert_kept(archive, &delivery, Some(outcome)).await;
    }
    let unknown = DeliveryId::new();
    let refused = archive.settle(unknown, Outcome::processed(200)).await;
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
    let begun = Outcome::Pending { attempts: 1, crashes: 0, running: true };
    done("settle", archive.settle(c.id(), begun.clone())).await;
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
        (of_model().unsettled(), vec![&a, &c]),
        (of_model().settled(), vec![&b]),
        (Query::all().model(name(&fresh_model())), vec![]),
    ] {
        let what = format!("{query:?}");
        let found = found(archive, query.clone()).await;
        assert_eq!(found.iter().collect::<Vec<_>>(), wanted, "{what} finds other deliveries");
        let lines = lines(archive, query).await;
        let outcome = |id| match id {
            id if id == b.id() => Some(Outcome::dead("for the query")),
            id if id == c.id() => Some(begun.clone()),
            _ => None,
        };
        let of = |one: &&Delivery| {
            let (id, model) = (one.id(), one.model().clone());
            Line::new(id, model, one.received_at(), outcome(id))
        };
        let wanted: Vec<_> = wanted.iter().map(of).collect();
        assert_eq!(lines, wanted, "{what} finds other lines");
    }
}

pub(super) async fn knows_what_was_processed(archive: &dyn Archive) {
    let model = fresh_model();
    let inference = |delivery: &Delivery, key| {
        InferenceDigest::of(delivery.model(), &InferenceKey::new(key), delivery.digest())
    };
    let of_body = |body: &str| Sample::of(&model).body(body.to_owned()).delivery();
    let (a, b, c) = (of_body("a"), of_body("b"), of_body("c"));
    let (first, second) = (inference(&a, "key"), inference(&b, "key"));
    let third = inference(&c, "key");
    let known = done("ask for an inference", archive.processed_as(first)).await;
    assert_eq!(known, None, "nothing was processed as this inference");
    for (delivery, inference) in [(&a, first), (&b, second)] {
        let _ = done("append", archive.append(delivery.clone())).await;
        let processed = Outcome::Processed { status: 201, inference: Some(inference) };
        done("settle", archive.settle(delivery.id(), processed.clone())).await;
        for (asked, what) in [(inference, "what was processed"), (third, "the latest of its key")] {
            let known = done("ask for an inference", archive.processed_as(asked)).await;
            assert_eq!(known, Some((delivery.id(), processed.clone())), "{what} is known");
        }
    }
    let known = done("ask for an inference", archive.processed_as(first)).await;
    assert_eq!(known.map(|(id, _)| id), Some(a.id()), "the same bytes count before the latest");

    let again = Outcome::Processed { status: 202, inference: Some(first) };
    done("settle", archive.settle(a.id(), again)).await;
    let known = done("ask for an inference", archive.processed_as(third)).await;
    assert_eq!(
        known.map(|(id, _)| id),
        Some(b.id()),
        "the latest delivery, not the latest outcome"
    );

    done("remove", archive.remove(Query::all().id(b.id()))).await;
    let known = done("ask for an inference", archive.processed_as(second)).await;
    assert_eq!(known.map(|(id, _)| id), Some(b.id()), "what was removed is still known");
    let other = done("ask for an inference", archive.processed_as(inference(&a, "other"))).await;
    assert_eq!(other, None, "another key is another inference");
}
