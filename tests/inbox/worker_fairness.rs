//! Limits of the worker pool: models share the workers, and a model with hanging handlers does not starve the others.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, service_fn};
use tower_inbox::{Inbox, Workers, layer::InboxBody};

use crate::support::{
    script::{self, Reply, Script, inbox_with},
    *,
};

const SECOND: Duration = Duration::from_secs(1);

/// An inbox with a model at each path, and a handler that hangs for jobs named `hangs-…`.
fn working(paths: &[&str], workers: Workers) -> (Inbox, Script) {
    let script = Script::new(|run| match run.job.split('-').next() {
        Some("hangs") => Reply::Never,
        _ => Reply::After(SECOND, 200),
    });
    let builder = Inbox::builder(memory()).background(workers.handler_timeout(3600 * SECOND));
    let builder = paths.iter().fold(builder, |builder, path| builder.model(*path, captions()));
    let inbox = builder.build().unwrap();
    inbox.start_workers(script.service()).unwrap();
    (inbox, script)
}

/// Posts enough deliveries of a model to occupy all workers, and waits until they are claimed.
async fn flood(inbox: &Inbox, script: &Script, path: &str, job: &str) {
    for number in 0..10 {
        post(inbox, script, path, &format!("{job}-{}-{number}", path.len())).await;
    }
    tokio::time::sleep(SECOND / 2).await;
}

async fn post(inbox: &Inbox, script: &Script, path: &str, job: &str) {
    let service = inbox.layer().layer(script.service());
    assert_eq!(send(service, signed_to(path, caption(job))).await.status, 202);
}

#[tokio::test(start_paused = true)]
async fn hanging_model_leaves_a_worker_for_an_idle_model() {
    for workers in [2, 4] {
        let (inbox, script) = working(&["/a", "/idle"], Workers::new(workers));
        flood(&inbox, &script, "/a", "hangs").await;
        assert_eq!(script.jobs().len(), workers - 1);
        post(&inbox, &script, "/idle", "idle").await;
        tokio::time::sleep(2 * SECOND).await;
        assert_eq!(script.jobs().last().unwrap(), "idle");
    }
}

#[tokio::test(start_paused = true)]
async fn two_hanging_models_leave_a_worker_for_a_third() {
    for workers in [3, 4, 8] {
        let (inbox, script) = working(&["/a", "/bb", "/idle"], Workers::new(workers));
        flood(&inbox, &script, "/a", "hangs").await;
        flood(&inbox, &script, "/bb", "hangs").await;
        assert_eq!(script.jobs().len(), workers - 1);
        for job in ["1", "2", "3"] {
            post(&inbox, &script, "/idle", job).await;
            tokio::time::sleep(2 * SECOND).await;
            assert_eq!(script.jobs().last().unwrap(), job, "with {workers} workers");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn only_model_gets_all_workers() {
    let (inbox, script) = working(&["/a"], Workers::new(4));
    flood(&inbox, &script, "/a", "hangs").await;
    assert_eq!(script.jobs().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn each_model_limits_the_workers_of_one_model() {
    let (inbox, script) = working(&["/a", "/idle"], Workers::new(5).each_model(2));
    flood(&inbox, &script, "/a", "hangs").await;
    assert_eq!(script.jobs().len(), 2);
    flood(&inbox, &script, "/idle", "idle").await;
    assert_eq!(script.jobs().len(), 4, "the other model has the same limit");
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(script.jobs().len(), 12);
}

#[tokio::test(start_paused = true)]
async fn number_of_concurrent_deliveries_is_limited() {
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counted = {
        let (running, most) = (running.clone(), most.clone());
        service_fn(move |_: Request<InboxBody<Full<Bytes>>>| {
            let (running, most) = (running.clone(), most.clone());
            async move {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(SECOND).await;
                running.fetch_sub(1, Ordering::SeqCst);
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
            }
        })
    };
    let inbox = inbox_with(memory(), Workers::new(3));
    inbox.start_workers(counted).unwrap();
    let script = Script::new(|_| Reply::Status(200));
    for job in 0..10 {
        script::post(&inbox, &script, &job.to_string()).await;
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
        script::post(&inbox, &script, &job.to_string()).await;
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
