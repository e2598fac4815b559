//! Models share the workers: one whose handler hangs does not keep the others from theirs.

use std::time::Duration;

use tower::Layer;
use tower_inbox::{Inbox, Workers};

use crate::{
    script::{Answers, Script},
    support::*,
};

const SECOND: Duration = Duration::from_secs(1);

/// An inbox with a model at each path, and handlers that hang where the job says so.
fn working(paths: &[&str], workers: Workers) -> (Inbox, Script) {
    let script = Script::of(|run| match run.job.split('-').next() {
        Some("hangs") => Answers::Never,
        _ => Answers::After(SECOND, 200),
    });
    let builder = Inbox::builder(memory()).background(workers.deadline(3600 * SECOND));
    let builder = paths.iter().fold(builder, |builder, path| builder.model(*path, captions()));
    let inbox = builder.build().unwrap();
    inbox.work(script.service());
    (inbox, script)
}

/// Has as many deliveries of a model accepted as may take all workers, and taken up.
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
async fn of_two_models_the_one_that_hangs_leaves_a_worker_for_the_other_before_that_has_work() {
    for workers in [2, 4] {
        let (inbox, script) = working(&["/a", "/calm"], Workers::new(workers));
        flood(&inbox, &script, "/a", "hangs").await;
        assert_eq!(script.jobs().len(), workers - 1);
        post(&inbox, &script, "/calm", "calm").await;
        tokio::time::sleep(2 * SECOND).await;
        assert_eq!(script.jobs().last().unwrap(), "calm");
    }
}

#[tokio::test(start_paused = true)]
async fn of_three_models_the_two_that_hang_leave_a_worker_for_the_third() {
    for workers in [3, 4, 8] {
        let (inbox, script) = working(&["/a", "/bb", "/calm"], Workers::new(workers));
        flood(&inbox, &script, "/a", "hangs").await;
        flood(&inbox, &script, "/bb", "hangs").await;
        assert_eq!(script.jobs().len(), workers - 1);
        for job in ["1", "2", "3"] {
            post(&inbox, &script, "/calm", job).await;
            tokio::time::sleep(2 * SECOND).await;
            assert_eq!(script.jobs().last().unwrap(), job, "with {workers} workers");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_model_that_is_alone_has_all_workers() {
    let (inbox, script) = working(&["/a"], Workers::new(4));
    flood(&inbox, &script, "/a", "hangs").await;
    assert_eq!(script.jobs().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_number_for_each_model_is_kept() {
    let (inbox, script) = working(&["/a", "/calm"], Workers::new(5).each_model(2));
    flood(&inbox, &script, "/a", "hangs").await;
    assert_eq!(script.jobs().len(), 2);
    flood(&inbox, &script, "/calm", "calm").await;
    assert_eq!(script.jobs().len(), 4, "of the other one as many, and no more");
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(script.jobs().len(), 12);
}
