//! Appended deliveries are stored once, unchanged, and can be found.
#![expect(clippy::panic, reason = "the suite reports a violation by panicking")]

use std::time::Duration;

use http::{Uri, Version};

use super::{
    super::Sample,
    support::{Fixture, LEASE, done, done_together},
};
use crate::{
    archive::{Append, Appended, Archive},
    delivery::{DeliveryId, Receipt, State},
};

pub(super) async fn append_stores_exact_bytes(archive: &dyn Archive) {
    let fixture = Fixture::new(archive);
    for sample in samples(&fixture) {
        let delivery = sample.delivery();
        let appended = fixture.append(&delivery).await;
        assert_eq!(appended.receipt, Receipt::fresh(delivery.id()), "new bytes are not a repeat");
        assert_eq!(appended.state, State::NEW, "a new delivery is pending");
        assert_eq!(appended.lease, None, "no lease was asked for");
        let Some(stored) = done("get", archive.get(delivery.id())).await else {
            panic!("get does not find {delivery:?}, which was appended");
        };
        assert_eq!(stored.delivery.body(), delivery.body(), "the body as it was appended");
        assert_eq!(stored.delivery, delivery, "the delivery as it was appended");
        assert_eq!(stored.state, State::NEW, "the state after append");
        assert_eq!(fixture.scan(fixture.query().id(delivery.id())).await, [delivery]);
    }
    let unknown = DeliveryId::new();
    assert!(!fixture.has_body(unknown).await, "get finds a delivery that was never appended");
    let state = done("read a state", archive.state(unknown)).await;
    assert_eq!(state, None, "a delivery that was never appended has no state");
}

/// Bodies and heads that a faulty archive might alter.
fn samples(fixture: &Fixture<'_>) -> Vec<Sample> {
    let record = "WARC/1.1\r\nWARC-Type: request\r\nContent-Length: 1\r\n\r\nx\r\n\r\n".repeat(50);
    let sample = fixture.sample("");
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
        sample.clone().body("uri").uri(Uri::from_static("/%20/a;b='c'?x=%0D%0A&y")),
        sample.body("time").received_at(Duration::new(1, 999_999_999)),
    ]
}

pub(super) async fn repeat_names_first_delivery(archive: &dyn Archive) {
    let (fixture, other) = (Fixture::new(archive), Fixture::new(archive));
    let (sample, id) = (fixture.sample("same"), fixture.pending("same").await);
    let repeat = sample.delivery();
    let appended = fixture.append(&repeat).await;
    assert_eq!(appended.receipt, Receipt::repeat(id), "a repeat names the first delivery");
    assert!(!fixture.has_body(repeat.id()).await, "a repeat is not stored a second time");
    let state = done("read a state", archive.state(repeat.id())).await;
    assert_eq!(state, None, "a repeat is not a delivery of its own");
    other.pending("same").await;
    for target in ["/hooks/other?page=1", "/hooks/sample?page=2"] {
        let delivery = sample.clone().uri(Uri::from_static(target)).delivery();
        let is_repeat = fixture.append(&delivery).await.receipt.is_repeat();
        assert!(!is_repeat, "the same bytes at another path or query are another delivery");
    }
}

/// Of equal deliveries appended concurrently, one is stored and at most one gets a lease.
pub(super) async fn equal_deliveries_are_stored_once(archive: &dyn Archive) {
    for leased in [false, true] {
        let fixture = Fixture::new(archive);
        let append = || {
            let append = Append::new(fixture.sample("equal").delivery());
            archive.append(if leased { append.leased_for(LEASE) } else { append })
        };
        let appended = done_together("append", (0..50).map(|_| append()).collect()).await;
        let fresh: Vec<_> = appended.iter().filter(|one| !one.receipt.is_repeat()).collect();
        let [Appended { receipt: first, .. }] = fresh.as_slice() else {
            panic!("of equal deliveries at the same time {} were stored, not one", fresh.len());
        };
        let all_named = appended.iter().all(|one| one.receipt.id() == first.id());
        assert!(all_named, "a repeat names another delivery than the one stored");
        let leases = appended.iter().filter(|one| one.lease.is_some()).count();
        assert_eq!(leases, usize::from(leased), "one of the callers that want a lease gets it");
        assert_eq!(fixture.ids(fixture.query()).await, [first.id()]);
    }
}

pub(super) async fn many_deliveries_at_a_time_are_stored(archive: &dyn Archive) {
    let fixture = Fixture::new(archive);
    let deliveries: Vec<_> =
        (0..200).map(|number| fixture.sample(&format!("number {number}")).delivery()).collect();
    let append = |delivery: &_| archive.append(Append::new(Clone::clone(delivery)));
    let appended = done_together("append", deliveries.iter().map(append).collect()).await;
    for (appended, delivery) in appended.iter().zip(&deliveries) {
        assert_eq!(appended.receipt, Receipt::fresh(delivery.id()), "different bytes are stored");
    }
    let scanned = fixture.scan(fixture.query()).await;
    assert_eq!(scanned.len(), deliveries.len(), "a scan finds everything that was appended");
    for delivery in &deliveries {
        assert!(scanned.contains(delivery), "a scan returns {delivery:?} as it was appended");
    }
}

/// An append whose future is dropped takes effect completely or not at all.
pub(super) async fn dropped_append_takes_effect_or_not(archive: &dyn Archive) {
    let fixture = Fixture::new(archive);
    let (dropped, next) = (fixture.sample("dropped").delivery(), fixture.sample("dropped"));
    drop(archive.append(Append::new(dropped.clone())));
    let next = next.delivery();
    let appended = fixture.append(&next).await;
    let (stored, other) =
        if appended.receipt.is_repeat() { (&dropped, &next) } else { (&next, &dropped) };
    assert_eq!(appended.receipt.id(), stored.id(), "the receipt names the delivery stored");
    assert!(!fixture.has_body(other.id()).await, "the bytes are stored twice");
    assert_eq!(fixture.scan(fixture.query()).await, std::slice::from_ref(stored));
}
