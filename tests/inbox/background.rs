//! Deliveries that workers handle: accepted at once, tried again until they are processed or dead, and given back when
//! the inbox stops. Time is paused: what takes a week here takes no time.

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
    Inbox, MemoryArchive, Outcome, Workers,
    archive::{Archive, Query},
    delivery::OutcomeKind,
    layer::{Attempt, InboxBody, Retries},
};

use crate::{
    script::{Answers, Script},
    slow_ledger::SlowLedger,
    support::*,
};

type Body = Full<Bytes>;

fn inbox_with(archive: MemoryArchive, workers: Workers) -> Inbox {
    Inbox::builder(archive).model(CAPTIONS, captions()).background(workers).build().unwrap()
}

async fn post(inbox: &Inbox, script: &Script, job: &str) -> Answer {
    send(inbox.layer().layer(script.service()), signed(caption(job))).await
}

async fn only_outcome(archive: &dyn Archive) -> Option<Outcome> {
    let mut all = archived(archive).await;
    assert_eq!(all.len(), 1);
    all.remove(0).outcome
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_delivery_is_accepted_at_once_and_handled_by_a_worker() {
    let script = Script::of(|_| Answers::Status(204));
    let inbox = inbox_with(memory(), Workers::new(2));
    let answer = post(&inbox, &script, "1").await;
    assert_eq!(answer.status, 202);
    assert!(answer.headers.contains_key("inbox-delivery-id"));
    assert!(script.runs().is_empty(), "nobody works yet");
    inbox.work(script.service());
    assert_eq!(post(&inbox, &script, "2").await.status, 202);
    assert_eq!(post(&inbox, &script, "2").await.status, 202, "a repeat");
    inbox.drained().await;
    let began = Instant::now();
    inbox.stop(3600 * SECOND).await;
    assert_eq!(began.elapsed(), Duration::ZERO, "it waited for nothing");
    assert_eq!(script.jobs(), ["1", "2"]);
    assert!(script.runs().iter().all(|run| run.attempt == 1 && run.in_background));
    let counts = inbox.counts().await.unwrap();
    assert_eq!(counts.of_all(OutcomeKind::Processed), 2);
    assert_eq!(counts.oldest_unsettled(), None);
}

#[tokio::test(start_paused = true)]
async fn what_fails_is_tried_again_with_growing_waits_until_it_is_dead() {
    let script = Script::of(|run| match run.attempt {
        2 => Answers::Panic,
        _ => Answers::Status(500),
    });
    let retries = Retries::default().attempts(6).first_wait(2 * SECOND).longest_wait(10 * SECOND);
    let inbox = inbox_with(memory(), Workers::new(1).retries(retries));
    // The jitter comes from this generator, and nothing else asks it meanwhile.
    fastrand::seed(5);
    let jitter: Vec<f64> = (0..5).map(|_| fastrand::f64()).collect();
    fastrand::seed(5);
    inbox.work(script.service());
    post(&inbox, &script, "1").await;
    inbox.drained().await;
    let runs = script.runs();
    assert_eq!(runs.iter().map(|run| run.attempt).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    for ((pair, longest), jitter) in runs.windows(2).zip([2, 4, 8, 10, 10]).zip(jitter) {
        let (wait, wanted) = (pair[1].at - pair[0].at, (longest * SECOND).mul_f64(jitter));
        // Timers are exact to a millisecond.
        assert!(wait.abs_diff(wanted) <= Duration::from_millis(2), "{wait:?}, not {wanted:?}");
    }
    let Some(Outcome::Dead { reason, .. }) = only_outcome(inbox.archive()).await else {
        panic!("not dead");
    };
    assert!(reason.contains("500") && reason.contains("6 times"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn what_would_be_tried_again_only_when_it_is_too_old_is_dead() {
    // The first five are made at any age.
    for (asked, runs) in [("3500", 6), ("3700", 5)] {
        let script = Script::of(move |run| match run.attempt {
            1..=4 => Answers::Status(503),
            5 => Answers::RetryAfter(503, asked),
            _ => Answers::Status(200),
        });
        let retries = Retries::default().longest_age(3600 * SECOND);
        let inbox = inbox_with(memory(), Workers::new(1).retries(retries));
        inbox.work(script.service());
        post(&inbox, &script, "1").await;
        inbox.drained().await;
        assert_eq!(script.runs().len(), runs, "asked for {asked} s");
        let outcome = only_outcome(inbox.archive()).await.unwrap();
        assert_eq!(outcome.to_string().contains("older than 3600s"), runs == 5, "{outcome}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_status_decides_what_is_tried_again() {
    for (status, runs) in [(200, 1), (404, 1), (408, 2), (409, 2), (425, 2), (429, 2), (503, 2)] {
        let script = Script::of(move |_| Answers::Status(status));
        let workers = Workers::new(1).retries(Retries::default().attempts(2));
        let inbox = inbox_with(memory(), workers);
        inbox.work(script.service());
        post(&inbox, &script, "1").await;
        inbox.drained().await;
        assert_eq!(script.runs().len(), runs, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_asks_to_be_left_alone_is() {
    let script = Script::of(|run| match run.attempt {
        1 => Answers::RetryAfter(503, "3600"),
        _ => Answers::Status(200),
    });
    let inbox = inbox_with(memory(), Workers::new(1));
    inbox.work(script.service());
    post(&inbox, &script, "1").await;
    inbox.drained().await;
    let runs = script.runs();
    assert!(runs[1].at - runs[0].at >= 3600 * SECOND);
    assert!(runs[1].at - runs[0].at < 3602 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_asks_to_be_left_alone_is_also_after_a_restart() {
    let (archive, script) = (memory(), Script::of(|_| Answers::RetryAfter(503, "3600")));
    let before = inbox_with(archive.clone(), Workers::new(1));
    before.work(script.service());
    post(&before, &script, "1").await;
    tokio::time::sleep(SECOND).await;
    before.stop(SECOND).await;
    assert_eq!(script.runs().len(), 1);
    let (after, again) =
        (inbox_with(archive, Workers::new(1)), Script::of(|_| Answers::Status(200)));
    let began = Instant::now();
    after.work(again.service());
    after.drained().await;
    let run = &again.runs()[0];
    assert_eq!(run.attempt, 2);
    // The clock of the machine is not paused.
    let wait = run.at - began;
    assert!(wait > 3500 * SECOND && wait <= 3601 * SECOND, "{wait:?}");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_hangs_is_stopped_at_its_deadline_and_tried_again() {
    let script = Script::of(|run| match run.attempt {
        1 => Answers::Never,
        _ => Answers::Status(200),
    });
    let inbox = inbox_with(memory(), Workers::new(1).deadline(30 * SECOND));
    inbox.work(script.service());
    post(&inbox, &script, "1").await;
    inbox.drained().await;
    let runs = script.runs();
    let between = runs[1].at - runs[0].at;
    assert!(between >= 30 * SECOND && between <= 32 * SECOND, "{between:?}");
}

#[tokio::test(start_paused = true)]
async fn a_sender_is_answered_at_the_deadline_and_its_delivery_goes_on() {
    for (answers, runs) in [(200, 1), (500, 2)] {
        let script = Script::of(move |run| match run.attempt {
            1 => Answers::After(20 * SECOND, answers),
            _ => Answers::Status(200),
        });
        let inbox = Inbox::builder(memory())
            .model(CAPTIONS, captions())
            .answer_within(3 * SECOND)
            .build()
            .unwrap();
        inbox.work(script.service());
        let began = Instant::now();
        let answer = post(&inbox, &script, "1").await;
        assert_eq!(answer.status, 202);
        assert!(answer.headers.contains_key("inbox-delivery-id"));
        assert!(began.elapsed() >= 3 * SECOND && began.elapsed() < 4 * SECOND);
        inbox.drained().await;
        assert_eq!(script.runs().len(), runs, "the first run answered {answers}");
        assert_eq!(processed(only_outcome(inbox.archive()).await.as_ref()), Some(200));
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_hangs_after_its_sender_was_answered_is_stopped_and_tried_again() {
    let script = Script::of(|run| match run.attempt {
        1 => Answers::Never,
        _ => Answers::Status(200),
    });
    let inbox = Inbox::builder(memory())
        .model(CAPTIONS, captions())
        .workers(Workers::new(1).deadline(30 * SECOND))
        .answer_within(3 * SECOND)
        .build()
        .unwrap();
    inbox.work(script.service());
    assert_eq!(post(&inbox, &script, "1").await.status, 202);
    assert!(inbox.bytes_in_flight() > 0);
    tokio::time::sleep(29 * SECOND).await;
    assert_eq!(inbox.bytes_in_flight(), 0, "not held for ever");
    inbox.settled().await;
    inbox.drained().await;
    let runs = script.runs();
    assert_eq!(runs.len(), 2);
    let between = runs[1].at - runs[0].at;
    assert!(between >= 30 * SECOND && between <= 32 * SECOND, "{between:?}");
    assert_eq!(processed(only_outcome(inbox.archive()).await.as_ref()), Some(200));
}

#[tokio::test(start_paused = true)]
async fn without_workers_a_sender_waits_for_as_long_as_it_takes() {
    let script = Script::of(|_| Answers::After(60 * SECOND, 201));
    let inbox = inbox(memory());
    assert_eq!(post(&inbox, &script, "1").await.status, 201);
}

#[tokio::test(start_paused = true)]
async fn what_was_left_is_taken_up_at_the_start_before_what_comes_later() {
    let archive = memory();
    let before = inbox_with(archive.clone(), Workers::new(1));
    let script = Script::of(|_| Answers::Status(200));
    for job in ["1", "2", "3"] {
        post(&before, &script, job).await;
    }
    let after = inbox_with(archive, Workers::new(1));
    after.work(script.service());
    tokio::task::yield_now().await;
    post(&after, &script, "4").await;
    after.drained().await;
    assert_eq!(script.jobs(), ["1", "2", "3", "4"]);
}

#[tokio::test(start_paused = true)]
async fn drained_waits_for_what_was_left_at_the_start() {
    let (archive, script) = (memory(), Script::of(|_| Answers::Status(200)));
    post(&inbox_with(archive.clone(), Workers::new(1)), &script, "1").await;
    let inbox = inbox_with(archive, Workers::new(1));
    inbox.drained().await;
    assert!(script.runs().is_empty(), "without workers there is nothing to wait for");
    inbox.work(script.service());
    inbox.drained().await;
    assert_eq!(script.jobs(), ["1"]);
}

#[tokio::test(start_paused = true)]
async fn more_is_pending_than_waits_in_memory_and_all_of_it_is_handled() {
    let (archive, script) = (memory(), Script::of(|_| Answers::After(SECOND / 10, 200)));
    let few = Workers::new(2).most_waiting(4);
    let before = inbox_with(archive.clone(), few);
    for job in 0..30 {
        post(&before, &script, &format!("left-{job}")).await;
    }
    let inbox = inbox_with(archive, few);
    inbox.work(script.service());
    for job in 0..30 {
        post(&inbox, &script, &format!("new-{job}")).await;
        assert!(inbox.waiting() <= 4 + 2, "{} wait", inbox.waiting());
        tokio::time::sleep(SECOND / 50).await;
    }
    let began = Instant::now();
    inbox.drained().await;
    assert!(began.elapsed() < 4 * SECOND, "workers wait for nothing: {:?}", began.elapsed());
    assert_eq!(script.runs().len(), 60);
    assert_eq!(inbox.counts().await.unwrap().of_all(OutcomeKind::Processed), 60);
}

#[tokio::test(start_paused = true)]
async fn what_failed_and_does_not_fit_into_memory_is_tried_again_inline_too() {
    let script = Script::of(|run| match run.attempt {
        1 => Answers::Status(500),
        _ => Answers::Status(200),
    });
    let workers = Workers::new(1).most_waiting(2);
    let builder = Inbox::builder(memory()).model(CAPTIONS, captions()).workers(workers);
    let inbox = builder.build().unwrap();
    inbox.work(script.service());
    for job in 0..20 {
        assert_eq!(post(&inbox, &script, &job.to_string()).await.status, 500);
    }
    inbox.drained().await;
    assert_eq!(inbox.counts().await.unwrap().of_all(OutcomeKind::Processed), 20);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_another_delivery_of_the_inference_does_so_without_a_word() {
    let script = Script::of(|_| Answers::After(60 * SECOND, 200));
    let inbox = inbox_with(memory(), Workers::new(3));
    inbox.work(script.service());
    let log = Log::default();
    let watching = log.here();
    for spaces in 0..3 {
        let body = caption("1") + &" ".repeat(spaces);
        let service = inbox.layer().layer(script.service());
        assert_eq!(send(service, signed(body)).await.status, 202);
    }
    inbox.drained().await;
    drop(watching);
    let runs = script.runs();
    assert_eq!(runs.len(), 3);
    for pair in runs.windows(2) {
        let between = pair[1].at - pair[0].at;
        assert!(between < 61 * SECOND, "the next comes at once: {between:?}");
    }
    let given_back = log.text().matches("outcome=pending 0 0").count();
    assert_eq!(given_back, 2, "each once: {}", log.text());
}

#[tokio::test(start_paused = true)]
async fn while_a_long_start_goes_on_what_arrives_and_what_was_left_both_keep_their_turn() {
    let (archive, script) = (memory(), Script::of(|_| Answers::After(SECOND, 200)));
    let before = inbox_with(archive.clone(), Workers::new(1));
    for job in 0..10 {
        post(&before, &script, &format!("left-{job}")).await;
    }
    // A line of the ledger each second, a delivery each second, and one worker that manages one each second.
    let slow = SlowLedger { archive, pace: SECOND };
    let inbox = Inbox::builder(slow)
        .model(CAPTIONS, captions())
        .background(Workers::new(1))
        .build()
        .unwrap();
    inbox.work(script.service());
    tokio::time::sleep(SECOND / 2).await;
    for job in 0..10 {
        post(&inbox, &script, &format!("new-{job}")).await;
        tokio::time::sleep(SECOND).await;
    }
    let jobs = script.jobs();
    let (new, left) = jobs.iter().partition::<Vec<_>, _>(|job| job.starts_with("new"));
    assert!(new.len().abs_diff(left.len()) <= 1, "in turn: {jobs:?}");
    inbox.drained().await;
    assert_eq!(script.jobs().len(), 20);
    for kind in ["new", "left"] {
        let jobs: Vec<_> = script.jobs().into_iter().filter(|job| job.starts_with(kind)).collect();
        assert!(jobs.is_sorted(), "{jobs:?}");
    }
}

/// What the archive says if the process ends while the handler is at work.
async fn begun(archive: &MemoryArchive, crashes: u32) {
    let id = archived(archive).await[0].delivery.id();
    let running = Outcome::Pending { attempts: crashes + 1, crashes, running: true };
    archive.settle(id, running).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_takes_the_process_down_is_put_aside_after_the_third_time() {
    for (crashes, runs) in [(0, 1), (1, 1), (2, 0)] {
        let (archive, script) = (memory(), Script::of(|_| Answers::Status(200)));
        post(&inbox_with(archive.clone(), Workers::new(1)), &script, "1").await;
        begun(&archive, crashes).await;
        let inbox = inbox_with(archive.clone(), Workers::new(1));
        inbox.work(script.service());
        inbox.drained().await;
        assert_eq!(script.runs().len(), runs, "after {} crashes", crashes + 1);
        let outcome = only_outcome(&archive).await.unwrap();
        if runs == 0 {
            assert!(outcome.to_string().contains("3 times"), "{outcome}");
        } else {
            assert_eq!(script.runs()[0].attempt, crashes + 2, "a crash is an attempt");
            assert_eq!(processed(Some(&outcome)), Some(200));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_have_taken_the_process_down_waits_until_the_others_had_their_turn() {
    let (archive, script) = (memory(), Script::of(|_| Answers::Status(200)));
    let before = inbox_with(archive.clone(), Workers::new(1));
    for job in ["suspect", "2", "3"] {
        post(&before, &script, job).await;
    }
    begun(&archive, 0).await;
    let inbox = inbox_with(archive, Workers::new(1));
    inbox.work(script.service());
    tokio::time::sleep(SECOND / 2).await;
    assert_eq!(script.jobs(), ["2", "3"]);
    inbox.drained().await;
    assert_eq!(script.jobs(), ["2", "3", "suspect"]);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_end_in_time_is_given_back_and_nothing_counts_as_failed() {
    let (archive, script) = (
        memory(),
        Script::of(|run| match run.job.as_str() {
            "ends" => Answers::After(2 * SECOND, 200),
            _ => Answers::Never,
        }),
    );
    let inbox = inbox_with(archive.clone(), Workers::new(2));
    inbox.work(script.service());
    for job in ["hangs", "ends", "waits"] {
        post(&inbox, &script, job).await;
    }
    tokio::time::sleep(SECOND).await;
    let began = Instant::now();
    inbox.stop(5 * SECOND).await;
    assert!(began.elapsed() < 6 * SECOND);
    assert_eq!(script.jobs(), ["hangs", "ends"], "nothing was begun after the stop");
    let outcomes: Vec<_> = archived(&archive).await.into_iter().map(|one| one.outcome).collect();
    let given_back = Outcome::Pending { attempts: 0, crashes: 0, running: false };
    assert_eq!(outcomes[0], Some(given_back));
    assert_eq!(processed(outcomes[1].as_ref()), Some(200));
    assert_eq!(outcomes[2], None);

    let again = Script::of(|_| Answers::Status(200));
    let inbox = inbox_with(archive, Workers::new(2));
    inbox.work(again.service());
    inbox.drained().await;
    assert_eq!(again.jobs(), ["hangs", "waits"]);
    assert!(again.runs().iter().all(|run| run.attempt == 1));
}

#[tokio::test(start_paused = true)]
async fn a_paused_model_is_accepted_and_waits_until_it_is_resumed() {
    let script = Script::of(|_| Answers::Status(200));
    let inbox = inbox_with(memory(), Workers::new(2));
    inbox.work(script.service());
    let model = CAPTIONS.parse().unwrap();
    inbox.pause(&model);
    assert_eq!(post(&inbox, &script, "1").await.status, 202);
    tokio::time::sleep(3600 * SECOND).await;
    assert!(script.runs().is_empty() && inbox.is_paused(&model));
    assert_eq!(inbox.waiting(), 1);
    inbox.resume(&model);
    inbox.drained().await;
    assert_eq!(script.jobs(), ["1"]);
}

#[tokio::test(start_paused = true)]
async fn dead_deliveries_are_retried_when_somebody_asks() {
    let mended = Arc::new(AtomicU16::new(422));
    let status = mended.clone();
    let script = Script::of(move |_| Answers::Status(status.load(Ordering::SeqCst)));
    let inbox = inbox_with(memory(), Workers::new(2));
    inbox.work(script.service());
    for job in ["1", "2"] {
        post(&inbox, &script, job).await;
    }
    inbox.drained().await;
    assert_eq!(inbox.counts().await.unwrap().of_all(OutcomeKind::Dead), 2);
    mended.store(200, Ordering::SeqCst);
    let first = archived(inbox.archive()).await[0].delivery.id();
    assert_eq!(inbox.retry(Query::all().id(first)).await.unwrap(), 1);
    inbox.drained().await;
    assert_eq!(script.jobs(), ["1", "2", "1"]);
    assert_eq!(inbox.retry(Query::all()).await.unwrap(), 1, "the other one is dead still");
    inbox.drained().await;
    assert_eq!(inbox.counts().await.unwrap().of_all(OutcomeKind::Processed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_dead_delivery_that_its_sender_repeats_is_handled_again_also_without_its_body() {
    let archive = memory();
    let script = Script::of(|_| Answers::Status(404));
    let inbox = inbox_with(archive.clone(), Workers::new(2));
    inbox.work(script.service());
    for round in 1..=3 {
        assert_eq!(post(&inbox, &script, "1").await.status, 202);
        inbox.drained().await;
        assert_eq!(script.runs().len(), round);
        assert_eq!(script.runs()[round - 1].attempt, 1, "from the first attempt on");
        assert_eq!(only_outcome(&archive).await, Some(Outcome::dead("the handler answered 404")));
        if round == 2 {
            archive.remove(Query::all()).await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_put_aside_is_not_handled_because_its_sender_repeats_it() {
    let (archive, script) = (memory(), Script::of(|_| Answers::Status(200)));
    let inbox = inbox_with(archive.clone(), Workers::new(2));
    post(&inbox, &script, "1").await;
    begun(&archive, 2).await;
    inbox.work(script.service());
    inbox.drained().await;
    assert_eq!(post(&inbox, &script, "1").await.status, 202);
    inbox.drained().await;
    assert!(script.runs().is_empty());
    assert_eq!(inbox.retry(Query::all()).await.unwrap(), 1);
    inbox.drained().await;
    assert_eq!(script.jobs(), ["1"]);
}

#[tokio::test(start_paused = true)]
async fn deliveries_are_accepted_while_every_handler_is_busy() {
    let script = Script::of(|_| Answers::Never);
    let inbox = inbox_with(memory(), Workers::new(1));
    let limited = tower::limit::ConcurrencyLimit::new(script.service(), 1);
    inbox.work(limited.clone());
    let service = inbox.layer().layer(limited);
    for job in ["1", "2", "3"] {
        assert_eq!(send(service.clone(), signed(caption(job))).await.status, 202);
        tokio::time::sleep(SECOND).await;
    }
    assert_eq!(script.jobs(), ["1"]);
}

#[tokio::test(start_paused = true)]
async fn no_more_run_at_the_same_time_than_there_are_workers() {
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
    inbox.work(counted);
    let script = Script::of(|_| Answers::Status(200));
    for job in 0..10 {
        post(&inbox, &script, &job.to_string()).await;
    }
    inbox.drained().await;
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn the_same_inference_in_another_delivery_is_a_repeat_and_in_other_bytes_a_new_version() {
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
    assert_eq!(all[1].outcome, Some(Outcome::Repeat { of: first }));
    assert_eq!(all[3].outcome, Some(Outcome::Repeat { of: all[2].delivery.id() }));
    let again = send(service, to("?attempt=2", caption("1"))).await;
    assert_eq!(again.status, 201, "a repeat of a repeat is answered as the first was");
    assert_eq!(versions.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn two_deliveries_of_one_inference_are_not_handled_at_the_same_time() {
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
async fn what_another_process_makes_pending_again_is_taken_up_soon() {
    let (archive, status) = (memory(), Arc::new(AtomicU16::new(404)));
    let answer = status.clone();
    let script = Script::of(move |_| Answers::Status(answer.load(Ordering::SeqCst)));
    let inbox = inbox_with(archive.clone(), Workers::new(1));
    inbox.work(script.service());
    post(&inbox, &script, "1").await;
    inbox.drained().await;
    status.store(200, Ordering::SeqCst);
    let retried = tower_inbox::archive::retry(&archive, Query::all()).await.unwrap();
    assert_eq!(retried.len(), 1);
    tokio::time::sleep(12 * SECOND).await;
    assert_eq!(processed(only_outcome(&archive).await.as_ref()), Some(200));
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_its_next_attempt_is_taken_up_soon_when_another_process_retries_it() {
    let archive = memory();
    let script = Script::of(|_| Answers::RetryAfter(503, "36000"));
    let inbox = inbox_with(archive.clone(), Workers::new(1));
    inbox.work(script.service());
    post(&inbox, &script, "1").await;
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(script.runs().len(), 1, "it waits for ten hours");
    tower_inbox::archive::retry(&archive, Query::all()).await.unwrap();
    tokio::time::sleep(12 * SECOND).await;
    assert_eq!(script.runs().len(), 2);
    assert_eq!(script.runs()[1].attempt, 1, "from the first attempt on");
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(script.runs().len(), 2, "once is enough");
}
