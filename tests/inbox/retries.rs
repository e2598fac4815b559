//! Retries: backoff, `Retry-After`, timeouts, dispositions, failure reasons, and dead deliveries. Time is paused.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};
use tower_inbox::{
    Archive, Inbox, Outcome, RetryPolicy, Workers,
    archive::Query,
    delivery::StateKind,
    layer::{Disposition, Failure, InboxBody},
};

use crate::support::{
    script::{Reply, SECOND, Script, dead_reason, inbox_with, post},
    *,
};

type Body = Full<Bytes>;

#[tokio::test(start_paused = true)]
async fn failed_delivery_is_retried_with_growing_backoff_until_it_is_dead() {
    let script = Script::new(|run| match run.attempt {
        2 => Reply::Panic,
        _ => Reply::Status(500),
    });
    let retries =
        RetryPolicy::default().max_attempts(6).initial_backoff(2 * SECOND).max_backoff(10 * SECOND);
    let inbox = inbox_with(memory(), Workers::new(1).retries(retries));
    // Only the jitter uses this random number generator.
    fastrand::seed(5);
    let jitter: Vec<f64> = (0..5).map(|_| fastrand::f64()).collect();
    fastrand::seed(5);
    inbox.start_workers(script.service()).unwrap();
    post(&inbox, &script, "1").await;
    inbox.wait_idle().await;
    let runs = script.runs();
    assert_eq!(runs.iter().map(|run| run.attempt).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    for ((pair, backoff), jitter) in runs.windows(2).zip([2, 4, 8, 10, 10]).zip(jitter) {
        let (wait, expected) = (pair[1].at - pair[0].at, (backoff * SECOND).mul_f64(jitter));
        // Timers have a resolution of 1 ms.
        assert!(wait.abs_diff(expected) <= Duration::from_millis(2), "{wait:?}, not {expected:?}");
    }
    let reason = dead_reason(inbox.archive()).await;
    assert_eq!(reason, "the handler returned 500; gave up after 6 attempts");
}

#[tokio::test(start_paused = true)]
async fn delivery_is_dead_if_its_next_attempt_would_exceed_the_maximum_age() {
    // The first five attempts run at any age.
    for (retry_after, runs) in [("3500", 6), ("3700", 5)] {
        let script = Script::new(move |run| match run.attempt {
            1..=4 => Reply::Status(503),
            5 => Reply::RetryAfter(503, retry_after),
            _ => Reply::Status(200),
        });
        let retries = RetryPolicy::default().max_age(3600 * SECOND);
        let inbox = inbox_with(memory(), Workers::new(1).retries(retries));
        inbox.start_workers(script.service()).unwrap();
        post(&inbox, &script, "1").await;
        inbox.wait_idle().await;
        assert_eq!(script.runs().len(), runs, "Retry-After: {retry_after}");
        let state = only_state(inbox.archive()).await;
        assert_eq!(state.to_string().contains("older than 3600s"), runs == 5, "{state}");
    }
}

#[tokio::test(start_paused = true)]
async fn status_of_the_handler_decides_whether_a_delivery_is_retried() {
    for (status, runs) in [(200, 1), (404, 1), (408, 2), (409, 2), (425, 2), (429, 2), (503, 2)] {
        let script = Script::new(move |_| Reply::Status(status));
        let workers = Workers::new(1).retries(RetryPolicy::default().max_attempts(2));
        let inbox = inbox_with(memory(), workers);
        inbox.start_workers(script.service()).unwrap();
        post(&inbox, &script, "1").await;
        inbox.wait_idle().await;
        assert_eq!(script.runs().len(), runs, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_of_the_handler_is_the_minimum_wait() {
    let script = Script::new(|run| match run.attempt {
        1 => Reply::RetryAfter(503, "3600"),
        _ => Reply::Status(200),
    });
    let inbox = inbox_with(memory(), Workers::new(1));
    inbox.start_workers(script.service()).unwrap();
    post(&inbox, &script, "1").await;
    inbox.wait_idle().await;
    let runs = script.runs();
    let wait = runs[1].at - runs[0].at;
    assert!(wait >= 3600 * SECOND && wait < 3602 * SECOND, "{wait:?}");
}

#[tokio::test(start_paused = true)]
async fn retry_after_of_the_handler_holds_after_a_restart() {
    let (archive, script) = (memory(), Script::new(|_| Reply::RetryAfter(503, "3600")));
    let before = inbox_with(archive.clone(), Workers::new(1));
    before.start_workers(script.service()).unwrap();
    post(&before, &script, "1").await;
    tokio::time::sleep(SECOND).await;
    before.shutdown(SECOND).await;
    assert_eq!(script.runs().len(), 1);
    let (after, again) =
        (inbox_with(archive, Workers::new(1)), Script::new(|_| Reply::Status(200)));
    let start = Instant::now();
    after.start_workers(again.service()).unwrap();
    after.wait_idle().await;
    let run = &again.runs()[0];
    assert_eq!(run.attempt, 2);
    let wait = run.at - start;
    assert!(wait > 3500 * SECOND && wait <= 3601 * SECOND, "{wait:?}");
}

#[tokio::test(start_paused = true)]
async fn hanging_handler_is_stopped_at_its_timeout_and_retried() {
    let script = Script::new(|run| match run.attempt {
        1 => Reply::Never,
        _ => Reply::Status(200),
    });
    let inbox = inbox_with(memory(), Workers::new(1).handler_timeout(30 * SECOND));
    inbox.start_workers(script.service()).unwrap();
    post(&inbox, &script, "1").await;
    inbox.wait_idle().await;
    let runs = script.runs();
    let wait = runs[1].at - runs[0].at;
    assert!(wait >= 30 * SECOND && wait <= 32 * SECOND, "{wait:?}");
}

#[tokio::test(start_paused = true)]
async fn hanging_inline_handler_is_stopped_at_its_timeout_and_retried_by_worker() {
    let script = Script::new(|run| match run.attempt {
        1 => Reply::Never,
        _ => Reply::Status(200),
    });
    let inbox = Inbox::builder(memory())
        .model(CAPTIONS, captions())
        .workers(Workers::new(1).handler_timeout(30 * SECOND))
        .answer_within(3 * SECOND)
        .build()
        .unwrap();
    inbox.start_workers(script.service()).unwrap();
    assert_eq!(post(&inbox, &script, "1").await.status, 202);
    assert!(inbox.bytes_in_flight() > 0);
    tokio::time::sleep(29 * SECOND).await;
    assert_eq!(inbox.bytes_in_flight(), 0, "the body is released with its handler");
    inbox.settled().await;
    inbox.wait_idle().await;
    let runs = script.runs();
    assert_eq!(runs.len(), 2);
    let wait = runs[1].at - runs[0].at;
    assert!(wait >= 30 * SECOND && wait <= 32 * SECOND, "{wait:?}");
    assert_eq!(processed(&only_state(inbox.archive()).await), Some(200));
}

#[tokio::test(start_paused = true)]
async fn failed_inline_deliveries_are_retried_by_workers() {
    let script = Script::new(|run| match run.attempt {
        1 => Reply::Status(500),
        _ => Reply::Status(200),
    });
    let builder = Inbox::builder(memory()).model(CAPTIONS, captions()).workers(Workers::new(1));
    let inbox = builder.build().unwrap();
    inbox.start_workers(script.service()).unwrap();
    for job in 0..20 {
        assert_eq!(post(&inbox, &script, &job.to_string()).await.status, 500);
    }
    inbox.wait_idle().await;
    assert_eq!(inbox.counts().await.unwrap().of_all(StateKind::Processed), 20);
}

#[tokio::test(start_paused = true)]
async fn dead_deliveries_are_processed_after_retry() {
    let status = Arc::new(AtomicU16::new(422));
    let current = status.clone();
    let script = Script::new(move |_| Reply::Status(current.load(Ordering::SeqCst)));
    let inbox = inbox_with(memory(), Workers::new(2));
    inbox.start_workers(script.service()).unwrap();
    for job in ["1", "2"] {
        post(&inbox, &script, job).await;
    }
    inbox.wait_idle().await;
    assert_eq!(inbox.counts().await.unwrap().of_all(StateKind::Dead), 2);
    status.store(200, Ordering::SeqCst);
    let first = archived(inbox.archive()).await[0].delivery.id();
    assert_eq!(inbox.retry(Query::all().id(first)).await.unwrap(), 1);
    inbox.wait_idle().await;
    assert_eq!(script.jobs(), ["1", "2", "1"]);
    assert_eq!(inbox.retry(Query::all()).await.unwrap(), 1, "the processed one is not retried");
    inbox.wait_idle().await;
    assert_eq!(inbox.counts().await.unwrap().of_all(StateKind::Processed), 2);
}

#[tokio::test(start_paused = true)]
async fn reason_of_a_failed_handler_is_stored_in_one_line_of_512_bytes() {
    let inbox = inbox_with(memory(), Workers::new(1));
    let script = Script::new(|_| Reply::Failure(404, "no tenant\r\n\u{1b}[31mfor this key"));
    inbox.start_workers(script.service()).unwrap();
    post(&inbox, &script, "1").await;
    inbox.wait_idle().await;
    let reason = dead_reason(inbox.archive()).await;
    assert_eq!(reason, r"the handler returned 404: no tenant\r\n\u{1b}[31mfor this key");

    let text = service_fn(|_: Request<InboxBody<Body>>| {
        let response = Response::builder().status(404).header("content-type", "text/plain");
        let body = Body::from(format!("line 1\nline 2 {}", "é".repeat(1000)));
        std::future::ready(Ok::<_, Infallible>(response.body(body).unwrap()))
    });
    let inbox = crate::support::inbox(memory());
    let answer = send(inbox.layer().layer(text), signed(caption("1"))).await;
    assert!(answer.body.ends_with('é'), "the sender gets the whole body");
    inbox.settled().await;
    let reason = dead_reason(inbox.archive()).await;
    assert!(reason.starts_with(r"the handler returned 404: line 1\nline 2 é"), "{reason}");
    assert!(reason.len() <= 512 && reason.len() > 500, "{}", reason.len());
}

#[tokio::test(start_paused = true)]
async fn reason_of_a_failed_attempt_that_was_the_last_says_that_it_was() {
    let script = Script::new(|_| Reply::Failure(503, "no database"));
    let workers = Workers::new(1).retries(RetryPolicy::default().max_attempts(2));
    let inbox = inbox_with(memory(), workers);
    inbox.start_workers(script.service()).unwrap();
    post(&inbox, &script, "1").await;
    inbox.wait_idle().await;
    let reason = dead_reason(inbox.archive()).await;
    assert_eq!(reason, "the handler returned 503: no database; gave up after 2 attempts");
}

#[tokio::test(start_paused = true)]
async fn delivery_that_another_process_retries_is_claimed_soon() {
    let (archive, status) = (memory(), Arc::new(AtomicU16::new(404)));
    let current = status.clone();
    let script = Script::new(move |_| Reply::Status(current.load(Ordering::SeqCst)));
    let inbox = inbox_with(archive.clone(), Workers::new(1));
    inbox.start_workers(script.service()).unwrap();
    post(&inbox, &script, "1").await;
    inbox.wait_idle().await;
    status.store(200, Ordering::SeqCst);
    assert_eq!(archive.retry(Query::all()).await.unwrap(), 1);
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(processed(&only_state(&archive).await), Some(200));
}

#[tokio::test(start_paused = true)]
async fn failed_delivery_that_another_process_retries_is_claimed_before_it_was_due() {
    let archive = memory();
    let script = Script::new(|_| Reply::RetryAfter(503, "36000"));
    let inbox = inbox_with(archive.clone(), Workers::new(1));
    inbox.start_workers(script.service()).unwrap();
    post(&inbox, &script, "1").await;
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(script.runs().len(), 1, "it is due in ten hours");
    archive.retry(Query::all()).await.unwrap();
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(script.runs().len(), 2);
    assert_eq!(script.runs()[1].attempt, 1, "attempts are counted anew");
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(script.runs().len(), 2);
}

#[tokio::test]
async fn handler_makes_a_conflict_final_by_its_disposition() {
    let routes = axum::Router::new().route(
        CAPTIONS,
        axum::routing::post(async || {
            (StatusCode::CONFLICT, Disposition::Dead, Failure::new("the order was closed"))
        }),
    );
    let inbox = inbox_with(memory(), Workers::default());
    inbox.start_workers::<axum::body::Body>(routes.clone()).unwrap();
    let request = signed(caption("1")).map(axum::body::Body::new);
    assert_eq!(routes.layer(inbox.layer()).oneshot(request).await.unwrap().status(), 202);
    inbox.wait_idle().await;
    let all = archived(inbox.archive()).await;
    let dead = Outcome::dead("the handler returned 409: the order was closed");
    let inference = all[0].state.inference();
    assert_eq!(all[0].state, dead.with_inference(inference).into());
    assert_eq!(inbox.retry(Query::all()).await.unwrap(), 1);
}
