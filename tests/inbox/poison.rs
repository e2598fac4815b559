//! Deliveries whose processing crashes the process while their sender waits: after the third crash they are poisoned.

use std::{convert::Infallible, future::pending, path::Path, time::Duration};

use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, service_fn};
use tower_inbox::{
    Archive, DiskArchive, MemoryArchive, Outcome,
    archive::{Append, Query},
    delivery::State,
    layer::{InboxBody, Rejection},
};

use crate::{
    process::Receiver,
    script::{Reply, Script},
    support::*,
};

type Body = Full<bytes::Bytes>;

/// How long the archive in memory keeps the lease of a process that is gone.
const LEASE: Duration = Duration::from_mins(1);

/// Posts a delivery to a process that crashes during processing: its lease ends without an outcome.
async fn crash_during(archive: &MemoryArchive, job: &str) {
    let delivery = delivery_of(archive, job).await;
    let appended = archive.append(Append::new(delivery).leased_for(LEASE)).await.unwrap();
    assert!(appended.lease.is_some(), "{}", appended.state);
    tokio::time::sleep(LEASE + Duration::from_millis(1)).await;
}

/// The delivery as an inbox appends it.
async fn delivery_of(archive: &MemoryArchive, job: &str) -> tower_inbox::Delivery {
    if let Some(first) = archived(archive).await.into_iter().next() {
        return first.delivery.with_id(tower_inbox::DeliveryId::new());
    }
    let other = memory();
    let hangs =
        service_fn(|_: Request<InboxBody<Body>>| pending::<Result<Response<Body>, Infallible>>());
    tokio::spawn(send(inbox(other.clone()).layer().layer(hangs), signed(caption(job))));
    tokio::time::sleep(Duration::from_millis(1)).await;
    archived(&other).await.remove(0).delivery
}

#[tokio::test(start_paused = true)]
async fn inline_delivery_is_poisoned_after_its_third_crash() {
    for crashes in 1..=3 {
        let (archive, seen) = (memory(), Seen::default());
        for _ in 0..crashes {
            crash_during(&archive, "1").await;
        }
        let inbox = inbox(archive.clone());
        for _ in 0..2 {
            let service = inbox.layer().layer(handler(&seen));
            let answer = send(service, signed(caption("1"))).await;
            inbox.settled().await;
            if crashes < 3 {
                assert_eq!((answer.status.as_u16(), seen.all().len()), (200, 1));
            } else {
                assert_eq!((answer.status.as_u16(), seen.all().len()), (500, 0));
                assert!(matches!(answer.rejection, Some(Rejection::Poisoned)), "{answer:?}");
            }
        }
        assert_eq!(archived(&archive).await.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn handler_that_takes_longer_than_a_lease_is_no_crash() {
    let (archive, script) = (memory(), Script::new(|_| Reply::After(10 * LEASE, 200)));
    let inbox = inbox(archive.clone());
    let answer = send(inbox.layer().layer(script.service()), signed(caption("1"))).await;
    inbox.settled().await;
    assert_eq!(answer.status, 200);
    assert_eq!((script.runs().len(), processed(&only_state(&archive).await)), (1, Some(200)));
}

#[tokio::test(start_paused = true)]
async fn retry_of_poisoned_delivery_counts_crashes_from_zero() {
    let (archive, seen) = (memory(), Seen::default());
    for _ in 0..3 {
        crash_during(&archive, "1").await;
    }
    assert_eq!(archive.retry(Query::all()).await.unwrap(), 1);
    for _ in 0..2 {
        crash_during(&archive, "1").await;
    }
    let answer = send(inbox(archive).layer().layer(handler(&seen)), signed(caption("1"))).await;
    assert_eq!((answer.status.as_u16(), seen.all().len()), (200, 1));
}

#[tokio::test(start_paused = true)]
async fn delivery_that_failed_before_it_crashed_is_poisoned_after_the_third_crash() {
    let (archive, seen) = (memory(), Seen::default());
    let fails = Script::new(|_| Reply::Status(500));
    let first = inbox(archive.clone());
    assert_eq!(send(first.layer().layer(fails.service()), signed(caption("1"))).await.status, 500);
    first.settled().await;
    for _ in 0..3 {
        crash_during(&archive, "1").await;
    }
    let answer = send(inbox(archive).layer().layer(handler(&seen)), signed(caption("1"))).await;
    assert!(matches!(answer.rejection, Some(Rejection::Poisoned)), "{answer:?}");
}

fn extraction(key: &str) -> String {
    format!(
        r#"{{"inference": {{"id": "{key}", "model": {{"id": "m"}}, "result": {{"fields": {{}}}},
        "file": {{"name": "f", "page_count": 1, "mime_type": "application/pdf"}}}}}}"#
    )
}

/// The state of the only delivery.
async fn state(archive: &Path) -> State {
    let reading = DiskArchive::read_only(archive).await.unwrap();
    reading.ledger(Query::all()).next().await.unwrap().unwrap().state
}

#[tokio::test]
async fn process_crashes_at_most_three_times_because_of_one_delivery() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("runs");
    let archive = directory.path().join("inbox");
    let start = || {
        let conduct = ["--abort-on", "poison", "--handler-log", log.to_str().unwrap()];
        Receiver::start(&archive, &conduct)
    };
    let first = start();
    first.post_signed(extraction("poison")).await.unwrap_err();
    first.ended().await;
    start().ended().await;
    start().ended().await;
    let last = start();
    for _ in 0..600 {
        if matches!(state(&archive).await, State::Outcome(Outcome::Dead { poisoned: true, .. })) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let answer = last.post_signed(extraction("poison")).await.unwrap();
    assert_eq!(answer.status(), 500);
    assert_eq!(last.post_signed(extraction("other")).await.unwrap().status(), 200);
    let runs = std::fs::read_to_string(&log).unwrap();
    assert_eq!(runs.lines().filter(|line| line.contains(" poison ")).count(), 3, "{runs}");
}
