//! Deliveries that take the process down with them, while their sender waits: they are recognised, and put aside.

use std::{convert::Infallible, future::pending, path::Path, time::Duration};

use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, service_fn};
use tower_inbox::{
    Archive, DiskArchive, MemoryArchive, Outcome,
    archive::{Query, retry},
    layer::{InboxBody, Refusal},
};

use crate::{process::Receiver, support::*};

type Body = Full<bytes::Bytes>;

/// A life of the process that ends while the handler is at work: nobody ever hears of it again.
async fn crash_over(archive: &MemoryArchive, job: &str) {
    let hangs =
        service_fn(|_: Request<InboxBody<Body>>| pending::<Result<Response<Body>, Infallible>>());
    let service = inbox(archive.clone()).layer().layer(hangs);
    tokio::spawn(send(service, signed(caption(job))));
    next_life();
    tokio::time::sleep(Duration::from_secs(1)).await;
}

/// A process does not start within the millisecond in which another one has archived a delivery.
fn next_life() {
    std::thread::sleep(Duration::from_millis(2));
}

#[tokio::test(start_paused = true)]
async fn what_takes_the_process_down_while_its_sender_waits_is_put_aside_after_the_third_time() {
    for crashes in 1..=3 {
        let (archive, seen) = (memory(), Seen::default());
        for _ in 0..crashes {
            crash_over(&archive, "1").await;
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
                assert!(matches!(answer.refusal, Some(Refusal::PutAside)), "{answer:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_put_aside_is_handled_when_somebody_asks_for_it_and_counts_from_the_start() {
    let (archive, seen) = (memory(), Seen::default());
    for _ in 0..4 {
        crash_over(&archive, "1").await;
    }
    assert_eq!(retry(&archive, Query::all()).await.unwrap().len(), 1);
    crash_over(&archive, "1").await;
    crash_over(&archive, "1").await;
    let answer = send(inbox(archive).layer().layer(handler(&seen)), signed(caption("1"))).await;
    assert_eq!((answer.status.as_u16(), seen.all().len()), (200, 1));
}

#[tokio::test(start_paused = true)]
async fn what_failed_before_it_took_the_process_down_is_put_aside_after_the_third_time_too() {
    let (archive, seen) = (memory(), Seen::default());
    let fails = service_fn(|_: Request<InboxBody<Body>>| {
        let answer = Response::builder().status(500).body(Body::default()).unwrap();
        std::future::ready(Ok::<_, Infallible>(answer))
    });
    let first = inbox(archive.clone());
    assert_eq!(send(first.layer().layer(fails), signed(caption("1"))).await.status, 500);
    first.settled().await;
    for _ in 0..3 {
        crash_over(&archive, "1").await;
    }
    let answer = send(inbox(archive).layer().layer(handler(&seen)), signed(caption("1"))).await;
    assert!(matches!(answer.refusal, Some(Refusal::PutAside)), "{answer:?}");
}

fn extraction(key: &str) -> String {
    format!(
        r#"{{"inference": {{"id": "{key}", "model": {{"id": "m"}}, "result": {{"fields": {{}}}},
        "file": {{"name": "f", "page_count": 1, "mime_type": "application/pdf"}}}}}}"#
    )
}

/// The outcome of the only delivery.
async fn outcome(archive: &Path) -> Option<Outcome> {
    let reading = DiskArchive::read_only(archive).await.unwrap();
    reading.ledger(Query::all()).next().await.unwrap().unwrap().outcome
}

#[tokio::test]
async fn a_process_that_ends_whenever_it_handles_a_delivery_ends_three_times() {
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
    while !matches!(outcome(&archive).await, Some(Outcome::Dead { put_aside: true, .. })) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let answer = last.post_signed(extraction("poison")).await.unwrap();
    assert_eq!(answer.status(), 500);
    assert_eq!(last.post_signed(extraction("other")).await.unwrap().status(), 200);
    let runs = std::fs::read_to_string(&log).unwrap();
    assert_eq!(runs.lines().filter(|line| line.contains(" poison ")).count(), 3, "{runs}");
}
