//! Background mode and workers: deliveries are accepted at once, retried until they are processed or dead, and requeued
//! at shutdown. Time is paused.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tokio::{sync::Semaphore, time::Instant};
use tower::{Layer, service_fn};
use tower_inbox::{
    Archive, Inbox, MemoryArchive, Outcome, RetryPolicy, Workers, WorkersError,
    archive::{Acquire, Query},
    delivery::{State, StateKind},
    layer::{Attempt, InboxBody, Rejection},
};

use crate::{
    script::{Reply, Script},
    support::*,
};

type Body = Full<Bytes>;

fn inbox_with(archive: impl Archive, workers: Workers) -> Inbox {
    Inbox::builder(archive).model(CAPTIONS, captions()).background(workers).build().unwrap()
}

async fn post(inbox: &Inbox, script: &Script, job: &str) -> Answer {
    send(inbox.layer().layer(script.service()), signed(caption(job))).await
}

async fn dead_reason(archive: &dyn Archive) -> String {
    match only_state(archive).await {
        State::Outcome(Outcome::Dead { reason, .. }) => reason,
        state => panic!("not dead: {state}"),
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn delivery_is_accepted_at_once_and_processed_by_worker() {
    let script = Script::new(|_| Reply::Status(204));
    let inbox = inbox_with(memory(), Workers::new(2));
    let answer = post(&inbox, &script, "1").await;
    assert_eq!(answer.status, 202);
    assert!(answer.headers.contains_key("inbox-delivery-id"));
    assert!(!answer.headers.contains_key("inbox-repeat"));
    assert!(script.runs().is_empty(), "no workers are running");
    inbox.start_workers(script.service()).unwrap();
    assert_eq!(post(&inbox, &script, "2").await.status, 202);
    let repeat = post(&inbox, &script, "2").await;
    assert_eq!(repeat.status, 202);
    assert_eq!(repeat.headers["inbox-repeat"], "true");
    inbox.wait_idle().await;
    let start = Instant::now();
    inbox.shutdown(3600 * SECOND).await;
    assert_eq!(start.elapsed(), Duration::ZERO, "there was nothing to wait for");
    assert_eq!(script.jobs(), ["1", "2"]);
    assert!(script.runs().iter().all(|run| run.attempt == 1 && run.in_background));
    let counts = inbox.counts().await.unwrap();
    assert_eq!(counts.of_all(StateKind::Processed), 2);
    assert_eq!(counts.oldest_unsettled(), None);
}

#[tokio::test(start_paused = true)]
async fn start_workers_twice_is_an_error_and_keeps_the_first_service() {
    let (first, second) =
        (Script::new(|_| Reply::Status(200)), Script::new(|_| Reply::Status(200)));
    let inbox = inbox_with(memory(), Workers::new(1));
    inbox.start_workers(first.service()).unwrap();
    assert_eq!(inbox.start_workers(second.service()), Err(WorkersError::AlreadyStarted));
    let clone = inbox.clone();
    assert_eq!(clone.start_workers(second.service()), Err(WorkersError::AlreadyStarted));
    post(&inbox, &first, "1").await;
    inbox.wait_idle().await;
    assert_eq!((first.jobs().len(), second.jobs().len()), (1, 0));
}

#[test]
fn start_workers_outside_a_runtime_is_an_error_and_works_within_one_later() {
    let (inbox, script) =
        (inbox_with(memory(), Workers::new(1)), Script::new(|_| Reply::Status(200)));
    assert_eq!(inbox.start_workers(script.service()), Err(WorkersError::NoRuntime));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        inbox.start_workers(script.service()).unwrap();
        post(&inbox, &script, "1").await;
        inbox.wait_idle().await;
    });
    assert_eq!(script.jobs(), ["1"]);
}

#[tokio::test(start_paused = true)]
async fn failed_delivery_is_retried_with_growing_backoff_until_it_is_dead() {
    let script = Script::new(|run| match run.attempt {
        2 => Reply::Panic,
        _ => Reply::Status(500),
    });
    let retries =
        RetryPolicy::default().max_attempts(6).initial_backoff(2 * SECOND).max_backoff(10 * SECOND);
    let inbox = inbox_with(memory(), Workers::new(1).retries(retries));
    // The jitter is the only use of this random generator.
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
        // Timers have a resolution of one millisecond.
        assert!(wait.abs_diff(expected) <= Duration::from_millis(2), "{wait:?}, not {expected:?}");
    }
    let reason = dead_reason(inbox.archive()).await;
    assert_eq!(reason, "the handler returned 500; gave up after 6 attempts");
}

#[tokio::test(start_paused = true)]
async fn delivery_is_dead_if_its_next_attempt_would_exceed_the_maximum_age() {
    // The first five attempts are made at any age.
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
async fn sender_is_answered_after_answer_within_and_the_handler_goes_on() {
    for (status, runs) in [(200, 1), (500, 2)] {
        let script = Script::new(move |run| match run.attempt {
            1 => Reply::After(20 * SECOND, status),
            _ => Reply::Status(200),
        });
        let builder = Inbox::builder(memory()).model(CAPTIONS, captions());
        let inbox = builder.answer_within(3 * SECOND).build().unwrap();
        inbox.start_workers(script.service()).unwrap();
        let start = Instant::now();
        let answer = post(&inbox, &script, "1").await;
        assert_eq!(answer.status, 202);
        assert!(answer.headers.contains_key("inbox-delivery-id"));
        assert!(start.elapsed() >= 3 * SECOND && start.elapsed() < 4 * SECOND);
        inbox.wait_idle().await;
        assert_eq!(script.runs().len(), runs, "the first run returned {status}");
        assert_eq!(processed(&only_state(inbox.archive()).await), Some(200));
    }
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
async fn without_workers_the_sender_waits_for_the_handler() {
    let script = Script::new(|_| Reply::After(60 * SECOND, 201));
    let inbox = inbox(memory());
    assert_eq!(post(&inbox, &script, "1").await.status, 201);
}

#[tokio::test(start_paused = true)]
async fn backlog_is_processed_at_start_before_new_deliveries() {
    let archive = memory();
    let before = inbox_with(archive.clone(), Workers::new(1));
    let script = Script::new(|_| Reply::Status(200));
    for job in ["1", "2", "3"] {
        post(&before, &script, job).await;
    }
    let after = inbox_with(archive, Workers::new(1));
    after.start_workers(script.service()).unwrap();
    tokio::task::yield_now().await;
    post(&after, &script, "4").await;
    after.wait_idle().await;
    assert_eq!(script.jobs(), ["1", "2", "3", "4"]);
}

#[tokio::test(start_paused = true)]
async fn wait_idle_waits_for_the_backlog() {
    let (archive, script) = (memory(), Script::new(|_| Reply::After(SECOND, 200)));
    post(&inbox_with(archive.clone(), Workers::new(1)), &script, "1").await;
    let inbox = inbox_with(archive, Workers::new(1));
    inbox.start_workers(script.service()).unwrap();
    inbox.wait_idle().await;
    assert_eq!(script.jobs(), ["1"]);
    assert_eq!(inbox.counts().await.unwrap().of_all(StateKind::Processed), 1);
}

#[tokio::test(start_paused = true)]
async fn workers_are_never_idle_while_there_is_a_backlog() {
    let (archive, script) = (memory(), Script::new(|_| Reply::After(SECOND / 10, 200)));
    let before = inbox_with(archive.clone(), Workers::new(2));
    for job in 0..30 {
        post(&before, &script, &format!("left-{job}")).await;
    }
    let inbox = inbox_with(archive, Workers::new(2));
    inbox.start_workers(script.service()).unwrap();
    let start = Instant::now();
    for job in 0..30 {
        post(&inbox, &script, &format!("new-{job}")).await;
        tokio::time::sleep(SECOND / 50).await;
    }
    inbox.wait_idle().await;
    // 60 deliveries of 100 ms, two at a time.
    assert!(start.elapsed() < 4 * SECOND, "{:?}", start.elapsed());
    assert_eq!(script.runs().len(), 60);
    assert_eq!(inbox.counts().await.unwrap().of_all(StateKind::Processed), 60);
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

/// The process crashes while the handler of the oldest delivery runs: its lease ends without an outcome.
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
async fn shutdown_requeues_running_deliveries_without_counting_an_attempt() {
    let (archive, script) = (
        memory(),
        Script::new(|run| match run.job.as_str() {
            "ends" => Reply::After(2 * SECOND, 200),
            _ => Reply::Never,
        }),
    );
    let inbox = inbox_with(archive.clone(), Workers::new(2));
    inbox.start_workers(script.service()).unwrap();
    for job in ["hangs", "ends", "waits"] {
        post(&inbox, &script, job).await;
    }
    tokio::time::sleep(SECOND).await;
    let start = Instant::now();
    inbox.shutdown(5 * SECOND).await;
    assert!(start.elapsed() < 6 * SECOND);
    assert_eq!(script.jobs(), ["hangs", "ends"], "nothing is claimed after shutdown");
    let states: Vec<_> = archived(&archive).await.into_iter().map(|one| one.state).collect();
    assert_eq!(processed(&states[1]), Some(200));
    assert_eq!((&states[0], &states[2]), (&State::NEW, &State::NEW));

    let again = Script::new(|_| Reply::Status(200));
    let inbox = inbox_with(archive, Workers::new(2));
    inbox.start_workers(again.service()).unwrap();
    inbox.wait_idle().await;
    let mut jobs = again.jobs();
    jobs.sort_unstable();
    assert_eq!(jobs, ["hangs", "waits"]);
    assert!(again.runs().iter().all(|run| run.attempt == 1));
}

#[tokio::test(start_paused = true)]
async fn paused_model_is_accepted_and_waits_until_it_is_resumed() {
    let script = Script::new(|_| Reply::Status(200));
    let inbox = inbox_with(memory(), Workers::new(2));
    inbox.start_workers(script.service()).unwrap();
    let model = CAPTIONS.parse().unwrap();
    inbox.pause(&model);
    assert_eq!(post(&inbox, &script, "1").await.status, 202);
    tokio::time::sleep(3600 * SECOND).await;
    assert!(script.runs().is_empty() && inbox.is_paused(&model));
    assert_eq!(inbox.counts().await.unwrap().unsettled(&model), 1);
    inbox.resume(&model);
    inbox.wait_idle().await;
    assert_eq!(script.jobs(), ["1"]);
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
async fn repeat_of_dead_delivery_is_processed_again_even_after_its_removal() {
    let archive = memory();
    let script = Script::new(|_| Reply::Status(404));
    let inbox = inbox_with(archive.clone(), Workers::new(2));
    inbox.start_workers(script.service()).unwrap();
    for round in 1..=3 {
        assert_eq!(post(&inbox, &script, "1").await.status, 202);
        inbox.wait_idle().await;
        assert_eq!(script.runs().len(), round);
        assert_eq!(script.runs()[round - 1].attempt, 1, "attempts are counted anew");
        assert_eq!(dead_reason(&archive).await, "the handler returned 404");
        if round == 2 {
            assert_eq!(archive.remove(Query::all()).await.unwrap(), 1);
        }
    }
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

#[tokio::test(start_paused = true)]
async fn deliveries_are_accepted_while_every_handler_is_busy() {
    let script = Script::new(|_| Reply::Never);
    let inbox = inbox_with(memory(), Workers::new(1));
    let limited = tower::limit::ConcurrencyLimit::new(script.service(), 1);
    inbox.start_workers(limited.clone()).unwrap();
    let service = inbox.layer().layer(limited);
    for job in ["1", "2", "3"] {
        assert_eq!(send(service.clone(), signed(caption(job))).await.status, 202);
        tokio::time::sleep(SECOND).await;
    }
    assert_eq!(script.jobs(), ["1"]);
}

#[tokio::test(start_paused = true)]
async fn inline_delivery_is_archived_while_every_handler_is_busy() {
    let script = Script::new(|_| Reply::After(60 * SECOND, 200));
    let inbox = inbox(memory());
    inbox.start_workers(script.service()).unwrap();
    let service = inbox.layer().layer(tower::limit::ConcurrencyLimit::new(script.service(), 1));
    let first = tokio::spawn(send(service.clone(), signed(caption("1"))));
    tokio::time::sleep(SECOND).await;
    let start = Instant::now();
    assert_eq!(send(service, signed(caption("2"))).await.status, 202, "its sender waits for 8 s");
    assert!(start.elapsed() < 9 * SECOND);
    assert_eq!(first.await.unwrap().status, 202);
    assert_eq!(script.jobs(), ["1"]);
    inbox.wait_idle().await;
    assert_eq!(script.jobs(), ["1", "2"]);
    assert!(script.runs().iter().all(|run| !run.in_background && run.attempt == 1));
}

#[tokio::test(start_paused = true)]
async fn number_of_concurrent_deliveries_is_limited() {
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counted = {
        let (running, most) = (running.clone(), most.clone());
        service_fn(move |_: Request<InboxBody<Body>>| {
            let (running, most) = (running.clone(), most.clone());
            async move {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(SECOND).await;
                running.fetch_sub(1, Ordering::SeqCst);
                Ok::<_, Infallible>(Response::new(Body::default()))
            }
        })
    };
    let inbox = inbox_with(memory(), Workers::new(3));
    inbox.start_workers(counted).unwrap();
    let script = Script::new(|_| Reply::Status(200));
    for job in 0..10 {
        post(&inbox, &script, &job.to_string()).await;
    }
    inbox.wait_idle().await;
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn number_of_starts_of_one_model_in_a_second_is_limited() {
    let script = Script::new(|_| Reply::Status(200));
    let inbox = Inbox::builder(memory())
        .model(CAPTIONS, captions())
        .model("/other", captions())
        .background(Workers::new(50).each_model_per_second(5))
        .build()
        .unwrap();
    for job in 0..25 {
        post(&inbox, &script, &job.to_string()).await;
    }
    inbox.start_workers(script.service()).unwrap();
    tokio::time::sleep(SECOND / 10).await;
    assert_eq!(script.runs().len(), 5, "a burst of one second");
    let service = inbox.layer().layer(script.service());
    assert_eq!(send(service, signed_to("/other", caption("other"))).await.status, 202);
    tokio::time::sleep(SECOND / 20).await;
    assert_eq!(script.jobs().last().unwrap(), "other", "each model has its own limit");
    inbox.wait_idle().await;
    let runs: Vec<_> = script.runs().into_iter().filter(|run| run.job != "other").collect();
    assert_eq!(runs.len(), 25);
    for (number, run) in runs.iter().enumerate() {
        let in_one_second = runs[number..].iter().filter(|other| other.at - run.at < SECOND);
        assert!(in_one_second.count() <= 10, "a full bucket, and its refill");
    }
    let all = runs[24].at - runs[0].at;
    assert!(all >= Duration::from_millis(3900) && all <= Duration::from_millis(4500), "{all:?}");
}

#[tokio::test(start_paused = true)]
async fn decode_first_rejects_undecodable_body_and_leaves_nothing_to_workers() {
    let script = Script::new(|_| Reply::Status(200));
    let inbox = inbox_with(memory(), Workers::new(1).decode_first());
    let rejected = send(inbox.layer().layer(script.service()), signed(r#"{"job": 1}"#)).await;
    assert_eq!(rejected.status, 422);
    let Some(Rejection::Undecodable { path, .. }) = &rejected.rejection else {
        panic!("{rejected:?}");
    };
    assert_eq!(path, "$.job");
    assert!(rejected.headers.contains_key("inbox-delivery-id"));
    let State::Outcome(Outcome::Undecodable { reason, .. }) = only_state(inbox.archive()).await
    else {
        panic!("not undecodable");
    };
    assert!(reason.contains("$.job"), "{reason}");
    assert_eq!(post(&inbox, &script, "2").await.status, 202);
    inbox.start_workers(script.service()).unwrap();
    inbox.wait_idle().await;
    assert_eq!(script.jobs(), ["2"]);
    let repeat = send(inbox.layer().layer(script.service()), signed(r#"{"job": 1}"#)).await;
    assert_eq!(repeat.status, 422, "a repeat is decoded again");
    inbox.wait_idle().await;
    let counts = inbox.counts().await.unwrap();
    let counted = [StateKind::Undecodable, StateKind::Processed].map(|kind| counts.of_all(kind));
    assert_eq!(counted, [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn repeat_of_processed_delivery_is_accepted_by_decode_first() {
    let script = Script::new(|_| Reply::Status(200));
    let inbox = inbox_with(memory(), Workers::new(1).decode_first());
    inbox.start_workers(script.service()).unwrap();
    for _ in 0..2 {
        assert_eq!(post(&inbox, &script, "1").await.status, 202);
        inbox.wait_idle().await;
    }
    assert_eq!(script.runs().len(), 1);
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
async fn same_inference_in_same_bytes_is_a_repeat_and_in_other_bytes_a_new_version() {
    let versions = Arc::new(Mutex::new(Vec::new()));
    let seen = versions.clone();
    let service = service_fn(move |request: Request<InboxBody<Body>>| {
        let attempt: &Attempt = request.extensions().get().unwrap();
        seen.lock().unwrap().push(attempt.new_version_of());
        std::future::ready(Ok::<_, Infallible>(
            Response::builder().status(201).body(Body::default()).unwrap(),
        ))
    });
    let inbox = inbox(memory());
    let service = inbox.layer().layer(service);
    let to = |query: &str, body: String| signed_to(&format!("{CAPTIONS}{query}"), body);
    for (query, body) in [
        ("", caption("1")),
        ("?attempt=2", caption("1")),
        ("", caption("1") + " "),
        ("?attempt=2", caption("1") + " "),
    ] {
        assert_eq!(send(service.clone(), to(query, body)).await.status, 201);
        inbox.settled().await;
    }
    let all = archived(inbox.archive()).await;
    let first = all[0].delivery.id();
    assert_eq!(*versions.lock().unwrap(), [None, Some(first)]);
    assert_eq!(all[1].state, Outcome::repeat(first).into());
    assert_eq!(all[3].state, Outcome::repeat(all[2].delivery.id()).into());
    let again = send(service, to("?attempt=2", caption("1"))).await;
    assert_eq!(again.status, 201, "a repeat of a repeat gets the status of the first");
    assert_eq!(versions.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn two_deliveries_of_one_inference_are_not_processed_at_the_same_time() {
    let gate = Arc::new(Semaphore::new(0));
    let (running, runs) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let service = {
        let (gate, running, runs) = (gate.clone(), running.clone(), runs.clone());
        service_fn(move |_: Request<InboxBody<Body>>| {
            let (gate, running, runs) = (gate.clone(), running.clone(), runs.clone());
            async move {
                assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0, "two at the same time");
                runs.fetch_add(1, Ordering::SeqCst);
                gate.acquire().await.unwrap().forget();
                running.fetch_sub(1, Ordering::SeqCst);
                Ok::<_, Infallible>(Response::new(Body::default()))
            }
        })
    };
    let inbox = inbox(memory());
    let service = inbox.layer().layer(service);
    let bodies = [caption("1"), caption("1") + " ", caption("1") + "  "];
    let sending: Vec<_> =
        bodies.into_iter().map(|body| tokio::spawn(send(service.clone(), signed(body)))).collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    gate.add_permits(3);
    for one in sending {
        assert_eq!(one.await.unwrap().status, 200);
    }
    assert_eq!(runs.load(Ordering::SeqCst), 3);
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
