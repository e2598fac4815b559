//! Models share the workers: a model whose handler hangs does not starve the others.

use std::time::Duration;

use tower::Layer;
use tower_inbox::{Inbox, Workers};

use crate::{
    script::{Reply, Script},
    support::*,
};

const SECOND: Duration = Duration::from_secs(1);

/// An inbox with a model at each path, and a handler that hangs for jobs whose name says so.
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
