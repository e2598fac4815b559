#![expect(clippy::panic, reason = "the suite says by panicking what does not hold")]

use std::{fmt::Debug, time::Duration};

use http::Version;

use super::Sample;
use crate::{
    archive::{Archive, ArchiveError, Query, Work},
    delivery::{Delivery, DeliveryId, ModelName, Outcome, OutcomeKind, Receipt},
};

/// Checks that an archive keeps the contract of [`Archive`], apart from what a crash would show.
///
/// The archive may hold deliveries before. Those of the suite stay in it.
///
/// ```
/// use tower_inbox::{MemoryArchive, testing::conformance};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// conformance(&MemoryArchive::new()).await;
/// # }
/// ```
///
/// # Panics
///
/// If the archive breaks the contract, with what was asked of it and what it did.
pub async fn conformance(archive: &dyn Archive) {
    gives_back_what_was_appended(archive).await;
    knows_repeats(archive).await;
    keeps_one_of_many_equal_ones(archive).await;
    keeps_many_at_a_time(archive).await;
    keeps_the_latest_outcome(archive).await;
    finds_by_query(archive).await;
    goes_on_when_nobody_waits(archive).await;
}

async fn gives_back_what_was_appended(archive: &dyn Archive) {
    let model = fresh_model();
    for sample in telling_samples(&model) {
        let delivery = sample.delivery();
        let receipt = done("append a delivery", archive.append(delivery.clone())).await;
        assert_eq!(receipt, Receipt::fresh(delivery.id()), "new bytes must give a fresh receipt");
        assert_kept(archive, &delivery, None).await;
    }
    let missing = done("get a delivery that is not there", archive.get(DeliveryId::new())).await;
    assert!(missing.is_none(), "a delivery that was never appended is there");
}

/// Bodies and heads that a careless archive would change.
fn telling_samples(model: &str) -> Vec<Sample> {
    let record = "WARC/1.1\r\nWARC-Type: request\r\nContent-Length: 1\r\n\r\nx\r\n\r\n".repeat(50);
    let sample = Sample::of(model);
    vec![
        sample.clone(),
        sample.clone().body((0..=u8::MAX).collect::<Vec<_>>()),
        sample.clone().body(vec![b'x'; 1 << 20]),
        sample.clone().body(record),
        sample.clone().body("repeated").header("x-a", b"1").header("x-b", b"2").header("x-a", b"3"),
        sample.clone().body("obs-text").header("x-name", b"caf\xe9 \xff").header("x-empty", b""),
        sample.clone().body("length").header("content-length", b"6"),
        sample.clone().body("a\r\nb").header("transfer-encoding", b"chunked"),
        sample.clone().body("http2").version(Version::HTTP_2).host(None),
        sample.clone().body("old").version(Version::HTTP_10).host(Some("unknown.invalid")),
        sample.clone().body("uri").uri(http::Uri::from_static("/%20/a;b='c'?x=%0D%0A&y")),
        sample.body("time").received_at(Duration::new(1, 999_999_999)),
    ]
}

async fn knows_repeats(archive: &dyn Archive) {
    let (model, other) = (fresh_model(), fresh_model());
    let first = Sample::of(&model).body("same").delivery();
    let again = Sample::of(&model).body("same").delivery();
    let elsewhere = Sample::of(&other).body("same").delivery();
    let _ = done("append the first", archive.append(first.clone())).await;
    let repeat = done("append the same bytes again", archive.append(again.clone())).await;
    assert_eq!(repeat, Receipt::repeat(first.id()), "a repeat must name the first");
    let kept = done("get a repeat", archive.get(again.id())).await;
    assert!(kept.is_none(), "a repeat must not be kept a second time");
    let fresh = done("append the bytes for another model", archive.append(elsewhere.clone())).await;
    assert!(!fresh.is_repeat(), "the same bytes for another model are no repeat");
}

async fn keeps_one_of_many_equal_ones(archive: &dyn Archive) {
    let sample = Sample::of(&fresh_model()).body("at the same time");
    let work: Vec<_> = (0..50).map(|_| archive.append(sample.delivery())).collect();
    let mut receipts = Vec::new();
    for work in work {
        receipts.push(done("append equal deliveries at the same time", work).await);
    }
    let fresh: Vec<_> = receipts.iter().filter(|receipt| !receipt.is_repeat()).collect();
    let [first] = fresh.as_slice() else {
        panic!("of equal deliveries at the same time one is fresh, not {}", fresh.len());
    };
    let named = receipts.iter().all(|receipt| receipt.id() == first.id());
    assert!(named, "every repeat must name the one that is fresh");
}

async fn keeps_many_at_a_time(archive: &dyn Archive) {
    let model = fresh_model();
    let deliveries: Vec<_> = (0..200)
        .map(|number| Sample::of(&model).body(format!("number {number}")).delivery())
        .collect();
    let work: Vec<_> = deliveries.iter().map(|one| archive.append(one.clone())).collect();
    for (work, delivery) in work.into_iter().zip(&deliveries) {
        let receipt = done("append one of many", work).await;
        assert_eq!(receipt, Receipt::fresh(delivery.id()), "different bytes must be kept");
    }
    let found = found(archive, Query::all().model(name(&model))).await;
    assert_eq!(found.len(), deliveries.len(), "a scan must find all that was appended");
    for delivery in &deliveries {
        assert!(found.contains(delivery), "a scan must give back what was appended");
    }
}

async fn keeps_the_latest_outcome(archive: &dyn Archive) {
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

async fn finds_by_query(archive: &dyn Archive) {
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

async fn goes_on_when_nobody_waits(archive: &dyn Archive) {
    let delivery = Sample::of(&fresh_model()).delivery();
    drop(archive.append(delivery.clone()));
    for _ in 0..1000 {
        if done("get what nobody waited for", archive.get(delivery.id())).await.is_some() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("a delivery whose future was dropped is not in the archive after ten seconds");
}

async fn assert_kept(archive: &dyn Archive, delivery: &Delivery, outcome: Option<Outcome>) {
    let Some(kept) = done("get", archive.get(delivery.id())).await else {
        panic!("the delivery {} was appended and is not there", delivery.id());
    };
    assert_eq!(kept.delivery.body(), delivery.body(), "the body is not what was appended");
    assert_eq!(kept.delivery, *delivery, "the delivery is not what was appended");
    assert_eq!(kept.outcome, outcome, "the outcome is not what was settled");
}

async fn found(archive: &dyn Archive, query: Query) -> Vec<Delivery> {
    let mut entries = archive.scan(query);
    let mut found = Vec::new();
    while let Some(entry) = entries.next().await {
        match entry {
            Ok(archived) => found.push(archived.delivery),
            Err(error) => panic!("a scan of a sound archive gave an error: {error:?}"),
        }
    }
    found
}

async fn done<T: Debug>(what: &str, work: Work<T>) -> T {
    match work.await {
        Ok(result) => result,
        Err(error) => panic!("cannot {what}: {error:?}"),
    }
}

/// The suite may run more than once on the same archive.
fn fresh_model() -> String {
    format!("/conformance/{}", DeliveryId::new())
}

fn name(model: &str) -> ModelName {
    match model.parse() {
        Ok(name) => name,
        Err(error) => panic!("{model}: {error}"),
    }
}
