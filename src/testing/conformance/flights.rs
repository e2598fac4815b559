//! Single flight: one lease processes an inference at a time, and processed inferences are remembered.
#![expect(clippy::panic, reason = "the suite reports a violation by panicking")]

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::support::{Call, Fixture, NOW, assert_fails, done, done_together, join_on_threads};
use crate::{
    archive::{Acquire, Archive, ArchiveError, Begun, Lease, Release, Work},
    delivery::{DeliveryId, InferenceDigest, Outcome, State},
};

type EndLease = fn(&dyn Archive, Lease) -> Work<()>;

const STARTED: Begun = Begun::Started { earlier: None };

pub(super) async fn one_lease_processes_inference_at_a_time(archive: &dyn Archive) {
    let fixture = Fixture::new(archive);
    let (first, second) = (fixture.leased("1").await, fixture.leased("2").await);
    let inference = fixture.inference("job", "1", "1");
    let same_id = fixture.inference("job", "2", "2");
    let begin = |lease, inference| fixture.begin(lease, inference);
    assert_eq!(begin(first, inference).await, STARTED, "the flight is free");
    assert_eq!(begin(first, inference).await, STARTED, "to begin again has no effect");
    assert_eq!(begin(second, inference).await, Begun::Busy, "single flight: the same version");
    assert_eq!(begin(second, same_id).await, Begun::Busy, "single flight: another version");
    let other = fixture.inference("other", "1", "1");
    assert_eq!(begin(second, other).await, STARTED, "another inference has its own flight");

    let ends: [(&str, EndLease); 3] = [
        ("settle", |archive, lease| archive.settle(lease, Outcome::failed("503"), NOW)),
        ("settle as dead", |archive, lease| archive.settle(lease, Outcome::dead("404"), NOW)),
        ("release", |archive, lease| archive.release(lease, Release::After(NOW))),
    ];
    for (how, end) in ends {
        let (first, second) =
            (fixture.leased(how).await, fixture.leased(&format!("2 {how}")).await);
        let inference = fixture.inference(how, "1", "1");
        assert_eq!(begin(first, inference).await, STARTED, "{how}: the flight is free");
        done(how, end(archive, first)).await;
        assert_eq!(begin(second, inference).await, STARTED, "a flight ends with {how}");
        let lost = archive.begin(first, inference);
        assert_fails!(lost, ArchiveError::LeaseLost { .. }, "begin after the lease has ended");
    }
    let first = fixture.leased("removed").await;
    let inference = fixture.inference("removed", "1", "1");
    assert_eq!(begin(first, inference).await, STARTED, "the flight is free");
    fixture.remove(fixture.query().id(first.id())).await;
    assert_eq!(begin(second, inference).await, Begun::Busy, "a flight outlives remove");
}

pub(super) async fn one_of_many_begins_inference(archive: &dyn Archive) {
    for on_threads in [false, true] {
        let fixture = Fixture::new(archive);
        let mut leases = Vec::new();
        for number in 0..8 {
            leases.push(fixture.leased(&number.to_string()).await);
        }
        let inference = fixture.inference("job", "1", "bytes");
        let begun = if on_threads {
            let begin = |lease: Lease| {
                let call: Call<'_, Begun> =
                    Box::new(move || Box::pin(done("begin", archive.begin(lease, inference))));
                call
            };
            join_on_threads(leases.into_iter().map(begin).collect()).await
        } else {
            let begin = |lease| archive.begin(lease, inference);
            done_together("begin", leases.into_iter().map(begin).collect()).await
        };
        let started = begun.iter().filter(|begun| **begun == STARTED).count();
        let busy = begun.iter().filter(|begun| **begun == Begun::Busy).count();
        assert_eq!((started, busy), (1, 7), "single flight: one starts, and the others are busy");
    }
}

pub(super) async fn processed_inference_is_known(archive: &dyn Archive) {
    let fixture = Fixture::new(archive);
    let same = fixture.inference("job", "1", "a");
    let other_bytes = fixture.inference("job", "1", "b");
    let other_version = fixture.inference("job", "2", "a");
    let asked = async |number: u32, inference: InferenceDigest| {
        let lease = fixture.leased(&format!("asks {number}")).await;
        let begun = fixture.begin(lease, inference).await;
        fixture.settle(lease, Outcome::dead("only asked").with_inference(Some(inference))).await;
        begun
    };
    let settled = async |body: &str, outcome: Outcome, inference| -> DeliveryId {
        fixture.settled(body, outcome.with_inference(Some(inference))).await
    };
    settled("failed", Outcome::failed("503"), same).await;
    settled("dead", Outcome::dead("404"), same).await;
    assert_eq!(asked(1, same).await, STARTED, "only what was processed counts");

    let first = settled("first", Outcome::processed(201), same).await;
    let processed = Begun::Processed { of: first, status: 201 };
    assert_eq!(asked(2, same).await, processed, "the same version in the same bytes");
    let earlier = Begun::Started { earlier: Some(first) };
    assert_eq!(asked(3, other_bytes).await, earlier, "the same version in other bytes");
    assert_eq!(asked(4, other_version).await, STARTED, "another version");

    let second = settled("second", Outcome::processed(202), other_bytes).await;
    assert_eq!(asked(5, same).await, processed, "the same bytes count before a later delivery");
    let third_bytes = fixture.inference("job", "1", "c");
    let latest = Begun::Started { earlier: Some(second) };
    assert_eq!(asked(6, third_bytes).await, latest, "the latest delivery in other bytes");

    fixture.remove(fixture.query().id(first)).await;
    assert_eq!(asked(7, same).await, processed, "a removed delivery is still known");
}

pub(super) async fn processed_inference_is_not_found_before_it_is_settled(archive: &dyn Archive) {
    let fixture = Fixture::new(archive);
    let inference = fixture.inference("job", "1", "bytes");
    let (first, second) = (fixture.leased("1").await, fixture.leased("2").await);
    assert_eq!(fixture.begin(first, inference).await, STARTED, "the flight is free");
    fixture.settle(first, Outcome::processed(200).with_inference(Some(inference))).await;
    let processed = Begun::Processed { of: first.id(), status: 200 };
    let begun = fixture.begin(second, inference).await;
    assert_eq!(begun, processed, "what ends the flight is known to the next in it");
}

pub(super) async fn blocked_delivery_is_due_when_flight_ends(archive: &dyn Archive) {
    let fixture = Fixture::new(archive);
    let (first, second) = (fixture.leased("1").await, fixture.leased("2").await);
    let inference = fixture.inference("job", "1", "bytes");
    assert_eq!(fixture.begin(first, inference).await, STARTED, "the flight is free");
    assert_eq!(fixture.begin(second, inference).await, Begun::Busy, "single flight");
    fixture.release(second, Release::WhenFree(inference.id())).await;
    assert_eq!(fixture.state(second.id()).await, State::NEW, "a released delivery is pending");
    let acquired = fixture.acquire(Acquire::new(second.id())).await;
    let Some(second) = acquired.lease else { panic!("a blocked delivery can be acquired") };
    fixture.release(second, Release::WhenFree(inference.id())).await;
    fixture.settle(first, Outcome::processed(200)).await;
    claim_soon(&fixture, second.id(), "the flight has ended").await;

    let third = fixture.leased("3").await;
    fixture.release(third, Release::WhenFree(inference.id())).await;
    claim_soon(&fixture, third.id(), "nobody is in the flight").await;

    let (holder, blocked) = (fixture.leased("4").await, fixture.leased("5").await);
    assert_eq!(fixture.begin(holder, inference).await, STARTED, "the flight is free");
    fixture.release(blocked, Release::WhenFree(inference.id())).await;
    fixture.remove(fixture.query().id(blocked.id())).await;
    fixture.release(holder, Release::After(NOW)).await;
    claim_soon(&fixture, holder.id(), "it was released").await;
    assert!(fixture.claim(9).await.is_empty(), "a removed delivery is claimed after a flight");
}

/// Claims the delivery, retrying for up to 20 s: an archive that is not notified of the end of a flight polls.
async fn claim_soon(fixture: &Fixture<'_>, id: DeliveryId, why: &str) {
    let start = Instant::now();
    loop {
        match fixture.claim(9).await.as_slice() {
            [] => {}
            [lease] if lease.id() == id => return,
            other => panic!("{why}: delivery {id} is due, and {other:?} was claimed"),
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{why}: and the delivery is not due");
        sleep(Duration::from_millis(20)).await;
    }
}
