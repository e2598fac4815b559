//! Poisoned deliveries: their processing crashed the process three times, inline or in the background.

use std::{convert::Infallible, future::pending, path::Path, time::Duration};

use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, service_fn};
use tower_inbox::{
    Archive, DiskArchive, MemoryArchive, Outcome, Workers,
    archive::{Acquire, Append, Query},
    delivery::State,
    layer::{InboxBody, Rejection},
};

use crate::support::{
    receiver_process::Receiver,
    script::{Reply, SECOND, Script, inbox_with, post},
    *,
};

type Body = Full<bytes::Bytes>;

/// The duration of a lease, after which the in-memory archive counts a crash.
const LEASE: Duration = Duration::from_secs(60);

/// Appends a delivery as a process that crashes during processing: its lease ends without an outcome.
async fn crash_during(archive: &MemoryArchive, job: &str) {
    let delivery = delivery_of(archive, job).await;
    let appended = archive.append(Append::new(delivery).leased_for(LEASE)).await.unwrap();
    assert!(appended.lease.is_some(), "{}", appended.state);
    tokio::time::sleep(LEASE + Duration::from_millis(1)).await;
}

/// Returns the delivery as an inbox appends it.
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

/// Returns the state of the only delivery.
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

/// Simulates a crash during the handler of the oldest delivery: its lease ends without an outcome.
async fn crash(archive: &MemoryArchive) {
    let id = archived(archive).await[0].delivery.id();
    let millisecond = Duration::from_millis(1);
    let acquired = archive.acquire(Acquire::new(id).leased_for(millisecond)).await.unwrap();
    assert!(acquired.lease.is_some(), "{}", acquired.state);
    tokio::time::sleep(2 * millisecond).await;
}

#[tokio::test(start_paused = true)]
async fn delivery_is_poisoned_after_its_third_crash() {
    for (crashes, runs) in [(1, 1), (2, 1), (3, 0)] {
        let (archive, script) = (memory(), Script::new(|_| Reply::Status(200)));
        post(&inbox_with(archive.clone(), Workers::new(1)), &script, "1").await;
        for _ in 0..crashes {
            crash(&archive).await;
        }
        let inbox = inbox_with(archive.clone(), Workers::new(1));
        inbox.start_workers(script.service()).unwrap();
        inbox.wait_idle().await;
        assert_eq!(script.runs().len(), runs, "after {crashes} crashes");
        let state = only_state(&archive).await;
        if runs == 0 {
            let poisoned = "the process crashed 3 times in a row during processing";
            assert_eq!(state, Outcome::poisoned(poisoned).into());
        } else {
            assert_eq!(script.runs()[0].attempt, crashes + 1, "a crash is an attempt");
            assert_eq!(processed(&state), Some(200));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn delivery_that_crashed_runs_after_those_that_were_due_before() {
    let (archive, script) = (memory(), Script::new(|_| Reply::Status(200)));
    let before = inbox_with(archive.clone(), Workers::new(1));
    for job in ["suspect", "2", "3"] {
        post(&before, &script, job).await;
    }
    crash(&archive).await;
    let inbox = inbox_with(archive, Workers::new(1));
    inbox.start_workers(script.service()).unwrap();
    inbox.wait_idle().await;
    assert_eq!(script.jobs(), ["2", "3", "suspect"]);
}

#[tokio::test(start_paused = true)]
async fn deliveries_that_crashed_run_one_at_a_time() {
    let (archive, script) = (memory(), Script::new(|_| Reply::After(SECOND, 200)));
    let before = inbox_with(archive.clone(), Workers::new(1));
    for job in ["suspect-1", "suspect-2", "suspect-3"] {
        post(&before, &script, job).await;
    }
    for archived in archived(&archive).await {
        let acquire = Acquire::new(archived.delivery.id()).leased_for(SECOND);
        assert!(archive.acquire(acquire).await.unwrap().lease.is_some());
    }
    tokio::time::sleep(2 * SECOND).await;
    for job in ["1", "2"] {
        post(&before, &script, job).await;
    }
    let inbox = inbox_with(archive, Workers::new(5));
    inbox.start_workers(script.service()).unwrap();
    tokio::time::sleep(SECOND / 2).await;
    assert_eq!(script.jobs(), ["suspect-1", "1", "2"]);
    inbox.wait_idle().await;
    assert_eq!(script.jobs(), ["suspect-1", "1", "2", "suspect-2", "suspect-3"]);
}

#[tokio::test(start_paused = true)]
async fn repeat_of_poisoned_delivery_is_not_run_again() {
    let (archive, script) = (memory(), Script::new(|_| Reply::Status(200)));
    let inbox = inbox_with(archive.clone(), Workers::new(2));
    post(&inbox, &script, "1").await;
    for _ in 0..3 {
        crash(&archive).await;
    }
    inbox.start_workers(script.service()).unwrap();
    inbox.wait_idle().await;
    assert_eq!(post(&inbox, &script, "1").await.status, 202);
    inbox.wait_idle().await;
    assert!(script.runs().is_empty());
    assert_eq!(inbox.retry(Query::all()).await.unwrap(), 1);
    inbox.wait_idle().await;
    assert_eq!(script.jobs(), ["1"]);
}
