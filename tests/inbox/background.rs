//! Background mode: deliveries are accepted immediately, processed by workers, and requeued at shutdown. Time is
//! paused.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tokio::{sync::Semaphore, time::Instant};
use tower::{Layer, service_fn};
use tower_inbox::{
    Archive, Inbox, Outcome, Workers,
    archive::Query,
    delivery::{State, StateKind},
    layer::{Attempt, InboxBody, Rejection},
};

use crate::support::{
    script::{Reply, SECOND, Script, dead_reason, inbox_with, post},
    *,
};

type Body = Full<Bytes>;

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
    // 60 deliveries of 100 ms each, two at a time.
    assert!(start.elapsed() < 4 * SECOND, "{:?}", start.elapsed());
    assert_eq!(script.runs().len(), 60);
    assert_eq!(inbox.counts().await.unwrap().of_all(StateKind::Processed), 60);
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
    inbox.pause(&model).await.unwrap();
    assert_eq!(post(&inbox, &script, "1").await.status, 202);
    tokio::time::sleep(3600 * SECOND).await;
    assert!(script.runs().is_empty() && inbox.is_paused(&model).await.unwrap());
    assert_eq!(inbox.counts().await.unwrap().unsettled(&model), 1);
    inbox.resume(&model).await.unwrap();
    inbox.wait_idle().await;
    assert_eq!(script.jobs(), ["1"]);
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
