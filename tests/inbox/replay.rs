//! Replays of archived deliveries, and checks of new types against them.

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use serde::Deserialize;
use tokio::time::Instant;
use tower::{Layer, service_fn};
use tower_inbox::{
    Delivery, Inbox, MemoryArchive, NotReplayed, Replayed, Replaying, Secret,
    archive::Query,
    delivery::{State, StateKind},
    layer::{Attempt, InboxBody},
    provider::{DecodeError, InferenceKey, ModelBuilder, Payload, decode_json},
};

use crate::support::*;

type Body = Full<Bytes>;

/// Responds with the current status, and records the delivery of each run and whether it was a replay.
#[derive(Clone)]
struct Recorder {
    status: Arc<AtomicU16>,
    runs: Arc<Mutex<Vec<(Delivery, bool)>>>,
}

impl Recorder {
    fn answering(status: u16) -> Self {
        Self { status: Arc::new(status.into()), runs: Arc::default() }
    }

    fn service(&self) -> impl Handler<Body> {
        let this = self.clone();
        service_fn(move |request: Request<InboxBody<Body>>| {
            let delivery: &Delivery = request.extensions().get().unwrap();
            let attempt: &Attempt = request.extensions().get().unwrap();
            this.runs.lock().unwrap().push((delivery.clone(), attempt.is_replay()));
            let status = this.status.load(Ordering::SeqCst);
            let answer = Response::builder().status(status).body(Body::default()).unwrap();
            std::future::ready(Ok(answer))
        })
    }
}

async fn all(mut replaying: Replaying) -> Vec<Replayed> {
    let mut results = Vec::new();
    while let Some(replayed) = replaying.next().await {
        results.push(replayed);
    }
    assert_eq!(replaying.left(), 0);
    results
}

async fn three(archive: &MemoryArchive, recorder: &Recorder) -> Inbox {
    let inbox = inbox(archive.clone());
    let service = inbox.layer().layer(recorder.service());
    for job in ["1", "2", "3"] {
        send(service.clone(), signed(caption(job))).await;
    }
    inbox.settled().await;
    inbox
}

#[tokio::test(start_paused = true)]
async fn replay_runs_selected_deliveries_in_order_with_their_head_and_time() {
    let (archive, recorder) = (memory(), Recorder::answering(422));
    let inbox = three(&archive, &recorder).await;
    let originals = archived(&archive).await;
    inbox.start_workers(recorder.service()).unwrap();
    recorder.status.store(201, Ordering::SeqCst);
    let dead = Query::all().state(StateKind::Dead);
    let replaying = inbox.replay(dead).start().await.unwrap();
    assert_eq!(replaying.left(), 3);
    let results = all(replaying).await;
    assert!(results.iter().all(Replayed::is_processed));
    inbox.settled().await;
    let runs = recorder.runs.lock().unwrap().split_off(3);
    for ((run, is_replay), original) in runs.iter().zip(&originals) {
        assert!(is_replay);
        assert_eq!(*run, original.delivery);
    }
    for (now, original) in archived(&archive).await.iter().zip(&originals) {
        assert_eq!(now.delivery, original.delivery, "originals do not change");
        assert_eq!(now.state, original.state, "what is settled does not change");
    }
}

#[tokio::test(start_paused = true)]
async fn replay_never_changes_settled_deliveries() {
    for first in [200, 404] {
        let (archive, recorder) = (memory(), Recorder::answering(first));
        let inbox = three(&archive, &recorder).await;
        let states = async || -> Vec<_> {
            archived(&archive).await.into_iter().map(|one| one.state).collect()
        };
        let before = states().await;
        assert!(before.iter().all(State::is_settled));
        let other = Recorder::answering(500);
        let replay = inbox.replay(Query::all()).through(other.service());
        let results = all(replay.start().await.unwrap()).await;
        assert_eq!(other.runs.lock().unwrap().len(), 3);
        assert!(results.iter().all(|one| one.result.as_ref().is_ok_and(|status| *status == 500)));
        inbox.settled().await;
        assert_eq!(states().await, before);
    }
}

#[tokio::test(start_paused = true)]
async fn replay_without_a_service_is_an_error() {
    let inbox = three(&memory(), &Recorder::answering(200)).await;
    assert!(inbox.replay(Query::all()).start().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn replay_respects_rate_and_concurrency() {
    let archive = memory();
    let inbox = three(&archive, &Recorder::answering(200)).await;
    let slow = service_fn(|_: Request<InboxBody<Body>>| async {
        tokio::time::sleep(Duration::from_secs(10)).await;
        Ok::<_, Infallible>(Response::new(Body::default()))
    });
    let time = async |replay: tower_inbox::Replay| {
        let began = Instant::now();
        assert_eq!(all(replay.start().await.unwrap()).await.len(), 3);
        began.elapsed().as_secs()
    };
    let replay = || inbox.replay(Query::all()).through(slow);
    assert_eq!(time(replay()).await, 30);
    assert_eq!(time(replay().concurrency(3)).await, 10);
    assert_eq!(time(replay().concurrency(3).rate(1)).await, 12);
}

#[tokio::test(start_paused = true)]
async fn verified_replay_skips_deliveries_rejected_by_the_current_secrets() {
    let (archive, recorder) = (memory(), Recorder::answering(200));
    three(&archive, &recorder).await;
    let with = |secret: &str| {
        let model = ModelBuilder::<Caption>::new().signed_with(Secret::new(secret));
        Inbox::builder(archive.clone()).model(CAPTIONS, model).build().unwrap()
    };
    for (secret, verified) in [(SECRET, true), ("another", false)] {
        let replay = with(secret).replay(Query::all()).through(recorder.service()).verified();
        let results = all(replay.start().await.unwrap()).await;
        for one in &results {
            assert_eq!(one.is_processed(), verified, "{one:?}");
            assert!(verified || matches!(one.result, Err(NotReplayed::Signature(_))), "{one:?}");
        }
    }
}

/// A caption type with a mistake: `text` is not a number.
#[derive(Deserialize)]
struct Misread {
    job: String,
    #[expect(dead_code, reason = "it is only loaded")]
    text: u32,
}

impl Payload for Misread {
    type Provider = Acme;

    fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        decode_json(body)
    }

    fn key(&self) -> InferenceKey {
        InferenceKey::new(&self.job)
    }
}

#[tokio::test]
async fn check_types_decodes_archived_deliveries_without_a_handler() {
    let (archive, recorder) = (memory(), Recorder::answering(200));
    let inbox = three(&archive, &recorder).await;
    let report = inbox.check_types(Query::all()).await;
    report.assert_all_load();
    assert_eq!(report.checked(), 3);
    assert!(inbox.check_types(Query::all().one_in(u64::MAX)).await.checked() < 3);

    let model = ModelBuilder::<Misread>::new().unsigned();
    let changed = Inbox::builder(archive.clone()).model(CAPTIONS, model).build().unwrap();
    let report = changed.check_types(Query::all()).await;
    assert!(report.pass_rate() < f64::EPSILON);
    let mistakes: Vec<_> = report.mistakes().collect();
    assert_eq!(mistakes, [(&CAPTIONS.parse().unwrap(), "$.text", 3)]);
    assert!(report.to_string().contains("$.text"), "{report}");
    assert_eq!(recorder.runs.lock().unwrap().len(), 3, "no handler was run");
    let outcomes = archived(&archive).await;
    assert!(outcomes.iter().all(|one| one.state.kind() == StateKind::Processed));
}

#[tokio::test]
async fn check_types_without_deliveries_fails_and_lists_skipped_models() {
    let archive = memory();
    three(&archive, &Recorder::answering(200)).await;
    let model = ModelBuilder::<Misread>::new().unsigned();
    let renamed = Inbox::builder(archive).model("/hooks/renamed", model).build().unwrap();
    let report = renamed.check_types(Query::all()).await;
    assert_eq!(report.without_model().collect::<Vec<_>>(), [(&CAPTIONS.parse().unwrap(), 3)]);
    let closed =
        std::panic::catch_unwind(AssertUnwindSafe(|| report.assert_all_load())).unwrap_err();
    let said = closed.downcast_ref::<String>().unwrap();
    assert!(
        said.contains("no delivery was checked") && said.contains("3 of /hooks/captions"),
        "{said}"
    );
}

#[tokio::test(start_paused = true)]
async fn shutdown_ends_a_replay_and_left_counts_the_rest() {
    let (archive, recorder) = (memory(), Recorder::answering(200));
    let inbox = three(&archive, &recorder).await;
    inbox.start_workers(recorder.service()).unwrap();
    let mut replaying = inbox.replay(Query::all()).rate(1).start().await.unwrap();
    assert!(replaying.next().await.unwrap().is_processed());
    inbox.shutdown(Duration::from_secs(60)).await;
    while replaying.next().await.is_some() {}
    assert_eq!(recorder.runs.lock().unwrap().len(), 3 + 1);
    assert_eq!(replaying.left(), 2);
}

#[tokio::test]
async fn schema_drift_is_logged_once_counted_and_reported() {
    let log = Log::default();
    let _logging = log.here();
    let model =
        || ModelBuilder::<Caption>::new().detect_schema_drift().signed_with(Secret::new(SECRET));
    let archive = memory();
    let inbox = Inbox::builder(archive.clone()).model(CAPTIONS, model()).build().unwrap();
    let service = inbox.layer().layer(Recorder::answering(200).service());
    for job in 0..66 {
        let body =
            format!(r#"{{"job": "{job}", "text": "a", "tags": [{{"new": 1}}, {{"new": 2}}]}}"#);
        assert_eq!(send(service.clone(), signed(body)).await.status, 200);
    }
    inbox.settled().await;
    let model_name = CAPTIONS.parse().unwrap();
    assert_eq!(inbox.models().unknown(), [(model_name, "$.tags".to_owned(), 2)]);
    assert_eq!(log.text().matches("does not know").count(), 1, "{}", log.text());
    let report = inbox.check_types(Query::all()).await;
    report.assert_all_load();
    let unknown: Vec<_> = report.unknown().map(|(_, path, times)| (path, times)).collect();
    assert_eq!(unknown, [("$.tags", 66)]);
}
