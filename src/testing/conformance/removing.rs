use super::{
    super::Sample,
    ask::{assert_kept, done, found, fresh_model, name},
};
use crate::{
    archive::{Archive, Query},
    delivery::{Delivery, Outcome, OutcomeKind, Receipt},
};

pub(super) async fn the_ledger_outlives_the_body(archive: &dyn Archive) {
    let sample = Sample::of(&fresh_model()).body("to be removed");
    let delivery = sample.delivery();
    let id = delivery.id();
    let _ = done("append", archive.append(delivery)).await;
    let outcome = Outcome::processed(201);
    done("settle", archive.settle(id, outcome.clone())).await;
    let this = || Query::all().id(id);
    assert_eq!(done("remove", archive.remove(this())).await, 1, "there is one to be removed");
    assert!(done("get", archive.get(id)).await.is_none(), "a removed delivery is still there");
    assert!(found(archive, this()).await.is_empty(), "a scan finds a removed delivery");
    let kept = done("ask for the outcome", archive.outcome(id)).await;
    assert_eq!(kept, Some(outcome), "the outcome of a removed delivery must stay known");
    let repeat = done("append its bytes again", archive.append(sample.delivery())).await;
    assert_eq!(repeat, Receipt::repeat(id), "the bytes of a removed delivery must stay known");
    let later = Outcome::dead("after it was removed");
    done("settle what was removed", archive.settle(id, later.clone())).await;
    let kept = done("ask for the outcome", archive.outcome(id)).await;
    assert_eq!(kept, Some(later), "a removed delivery can be settled");
    assert_eq!(
        done("remove", archive.remove(this())).await,
        0,
        "what is gone is not removed again"
    );
}

pub(super) async fn removes_what_is_selected_and_nothing_else(archive: &dyn Archive) {
    let model = fresh_model();
    let deliveries: Vec<Delivery> = ["pending", "failed", "dead", "processed"]
        .map(|body| Sample::of(&model).body(body).delivery())
        .into();
    let outcomes = [
        None,
        Some(Outcome::failed("for the suite")),
        Some(Outcome::dead("for the suite")),
        Some(Outcome::processed(200)),
    ];
    for (delivery, outcome) in deliveries.iter().zip(&outcomes) {
        let _ = done("append", archive.append(delivery.clone())).await;
        if let Some(outcome) = outcome {
            done("settle", archive.settle(delivery.id(), outcome.clone())).await;
        }
    }
    let of_model = || Query::all().model(name(&model));
    let dead = archive.remove(of_model().outcome(OutcomeKind::Dead));
    assert_eq!(done("remove the dead", dead).await, 1, "one delivery was dead");
    let settled = done("remove the settled", archive.remove(of_model().settled())).await;
    assert_eq!(settled, 1, "what is pending or failed is not settled");
    for (delivery, outcome) in deliveries.iter().zip(outcomes).take(2) {
        assert_kept(archive, delivery, outcome).await;
    }
    assert_eq!(found(archive, of_model()).await.len(), 2, "two were removed");
}

/// A repeat of it would be answered, and its bytes would be nowhere.
pub(super) async fn archives_anew_what_was_removed_before_it_was_settled(archive: &dyn Archive) {
    let running = Outcome::Pending { attempts: 1, crashes: 0, running: true };
    for outcome in [None, Some(Outcome::failed("for the suite")), Some(running)] {
        let sample = Sample::of(&fresh_model()).body("to be removed");
        let (first, second) = (sample.delivery(), sample.delivery());
        let _ = done("append", archive.append(first.clone())).await;
        if let Some(outcome) = outcome.clone() {
            done("settle", archive.settle(first.id(), outcome)).await;
        }
        done("remove", archive.remove(Query::all().id(first.id()))).await;
        let again = done("append its bytes again", archive.append(second.clone())).await;
        assert_eq!(again, Receipt::fresh(second.id()), "{outcome:?}: its bytes are nowhere");
        assert_kept(archive, &second, None).await;
        let third = done("append them once more", archive.append(sample.delivery())).await;
        assert_eq!(third, Receipt::repeat(second.id()), "now they are there");
    }
}
