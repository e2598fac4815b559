#![expect(clippy::panic, reason = "the suite says by panicking what does not hold")]

use std::time::Duration;

use http::Version;

use super::{
    super::Sample,
    ask::{assert_kept, done, found, fresh_model, name},
};
use crate::{
    archive::{Archive, Query},
    delivery::{DeliveryId, Receipt},
};

pub(super) async fn gives_back_what_was_appended(archive: &dyn Archive) {
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

pub(super) async fn knows_repeats(archive: &dyn Archive) {
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
    for target in ["/hooks/other?page=1", "/hooks/sample?page=2"] {
        let uri = http::Uri::from_static(target);
        let there = Sample::of(&model).body("same").uri(uri).delivery();
        let fresh = done("append the bytes at another target", archive.append(there)).await;
        assert!(!fresh.is_repeat(), "the same bytes at another path or query are no repeat");
    }
}

pub(super) async fn keeps_one_of_many_equal_ones(archive: &dyn Archive) {
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

pub(super) async fn keeps_many_at_a_time(archive: &dyn Archive) {
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

pub(super) async fn goes_on_when_nobody_waits(archive: &dyn Archive) {
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
