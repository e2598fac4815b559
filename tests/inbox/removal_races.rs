//! Removal and retry concurrent with senders and workers: acknowledged deliveries are archived, and processed once.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, service_fn};
use tower_inbox::{
    Archive, Delivery, DeliveryId, DiskArchive, Inbox, InboxBuilder, RetryPolicy, Secret, Workers,
    archive::Query,
    delivery::{State, StateKind},
    layer::{InboxBody, Quarantine},
    provider::ModelBuilder,
    testing::SlowDisk,
};

use crate::support::{
    script::{Reply, Script},
    *,
};

const MILLISECOND: Duration = Duration::from_millis(1);

async fn post(inbox: &Inbox, script: &Script, body: String) -> u16 {
    send(inbox.layer().layer(script.service()), signed(body)).await.status.as_u16()
}

fn builder(archive: &Arc<dyn Archive>) -> InboxBuilder {
    Inbox::builder(archive.clone()).model(CAPTIONS, captions())
}

/// Returns an in-memory archive and a disk archive.
async fn archives(directory: &tempfile::TempDir) -> [Arc<dyn Archive>; 2] {
    let disk = DiskArchive::open(directory.path().join("inbox")).await.unwrap();
    [Arc::new(memory()), Arc::new(disk)]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inline_repeat_of_dead_and_removed_delivery_is_stored_before_its_sender_is_answered() {
    let directory = tempfile::tempdir().unwrap();
    for archive in archives(&directory).await {
        let status = Arc::new(AtomicU16::new(404));
        let current = status.clone();
        let script = Script::new(move |run| match current.load(Ordering::SeqCst) {
            503 if !run.in_background => Reply::After(400 * MILLISECOND, 503),
            503 => Reply::Status(200),
            status => Reply::Status(status),
        });
        let retries = RetryPolicy::default().initial_backoff(50 * MILLISECOND);
        let inbox = builder(&archive)
            .workers(Workers::new(2).retries(retries))
            .answer_within(100 * MILLISECOND)
            .build()
            .unwrap();
        inbox.start_workers(script.service()).unwrap();
        assert_eq!(post(&inbox, &script, caption("1")).await, 404);
        inbox.wait_idle().await;
        assert_eq!(archive.remove(Query::all().settled()).await.unwrap(), 1);
        status.store(503, Ordering::SeqCst);
        // The handler fails after the sender has stopped waiting.
        assert_eq!(post(&inbox, &script, caption("1")).await, 202, "{archive}");
        let stored = archived(&archive).await;
        assert_eq!(stored.len(), 1, "{archive}: acknowledged");
        assert_eq!(stored[0].delivery.body(), &caption("1"));
        inbox.wait_idle().await;
        assert_eq!(processed(&only_state(&archive).await), Some(200), "{archive}");
        assert_eq!(script.runs().len(), 3, "{archive}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeat_of_dead_delivery_survives_removal_of_settled_ones_until_it_is_settled() {
    let directory = tempfile::tempdir().unwrap();
    for archive in archives(&directory).await {
        let script = Script::new(|_| Reply::Status(404));
        let inbox = builder(&archive).background(Workers::new(1)).build().unwrap();
        inbox.start_workers(script.service()).unwrap();
        let settled = || Query::all().settled();
        assert_eq!(post(&inbox, &script, caption("1")).await, 202);
        inbox.wait_idle().await;
        assert_eq!(only_state(&archive).await.kind(), StateKind::Dead, "{archive}");
        // The repeat stays pending while its model is paused.
        inbox.pause(&CAPTIONS.parse().unwrap()).await.unwrap();
        assert_eq!(post(&inbox, &script, caption("1")).await, 202);
        for _ in 0..2 {
            assert_eq!(archive.remove(settled()).await.unwrap(), 0, "{archive}");
            assert_eq!(only_state(&archive).await, State::NEW, "{archive}");
        }
        inbox.resume(&CAPTIONS.parse().unwrap()).await.unwrap();
        inbox.wait_idle().await;
        assert_eq!(script.runs().len(), 2, "{archive}");
        for removed in [1, 0] {
            assert_eq!(archive.remove(settled()).await.unwrap(), removed, "{archive}");
            assert!(archived(&archive).await.is_empty(), "{archive}");
        }
        let counts = inbox.counts().await.unwrap();
        assert!(StateKind::ALL.iter().all(|kind| counts.of_all(*kind) == 0), "{archive}");
        // The bytes are removed, and the delivery was not processed: the next repeat is a new delivery.
        assert_eq!(post(&inbox, &script, caption("1")).await, 202);
        assert_eq!(archived(&archive).await.len(), 1, "{archive}");
        inbox.wait_idle().await;
        assert_eq!(script.runs().len(), 3, "{archive}");
    }
}

#[tokio::test]
async fn released_delivery_is_stored_although_the_same_one_was_dead_and_removed() {
    let (archive, quarantine) = (memory(), memory());
    let build = |secret: &'static str| {
        let model = ModelBuilder::<Caption>::new().signed_with(Secret::new(secret));
        Inbox::builder(archive.clone())
            .model(CAPTIONS, model)
            .background(Workers::new(1))
            .quarantine(Quarantine::new(quarantine.clone()))
            .build()
            .unwrap()
    };
    let status = Arc::new(AtomicU16::new(404));
    let current = status.clone();
    let script = Script::new(move |_| Reply::Status(current.load(Ordering::SeqCst)));
    let first = build(SECRET);
    first.start_workers(script.service()).unwrap();
    assert_eq!(post(&first, &script, caption("1")).await, 202);
    first.wait_idle().await;
    assert_eq!(archive.remove(Query::all().settled()).await.unwrap(), 1);
    first.shutdown(Duration::from_secs(1)).await;
    // A deploy with the wrong secret.
    let wrong = build("another secret");
    assert_eq!(post(&wrong, &script, caption("1")).await, 401);
    wrong.settled().await;
    assert_eq!(archived(&quarantine).await.len(), 1);
    status.store(200, Ordering::SeqCst);
    let fixed = build(SECRET);
    let released = fixed.release(Query::all()).await.unwrap();
    assert!(matches!(released.as_slice(), [one] if one.result.is_ok()), "{released:?}");
    assert!(archived(&quarantine).await.is_empty());
    assert_eq!(only_state(&archive).await, State::NEW);
    fixed.start_workers(script.service()).unwrap();
    fixed.wait_idle().await;
    assert_eq!(script.runs().len(), 2);
    assert_eq!(processed(&only_state(&archive).await), Some(200));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retry_skips_deliveries_processed_in_the_meantime() {
    const DELIVERIES: u64 = 200;
    let directory = tempfile::tempdir().unwrap();
    let disk = DiskArchive::builder(directory.path().join("inbox")).maintenance_interval(None);
    // 5 ms for each sync, as on many servers.
    let archive: Arc<dyn Archive> =
        Arc::new(SlowDisk::new(5 * MILLISECOND).open(disk).await.unwrap());
    let backoff = 300 * MILLISECOND;
    let retries = RetryPolicy::default().initial_backoff(backoff).max_backoff(backoff);
    let inbox = builder(&archive).background(Workers::new(4).retries(retries)).build().unwrap();
    // The first run of each delivery fails.
    let runs: Arc<Mutex<HashMap<DeliveryId, u32>>> = Arc::default();
    let counted = runs.clone();
    let handler = service_fn(move |request: Request<InboxBody<Full<Bytes>>>| {
        let id = request.extensions().get::<Delivery>().unwrap().id();
        let mut runs = counted.lock().unwrap();
        let run = runs.entry(id).or_default();
        *run += 1;
        let status = if *run == 1 { 503 } else { 200 };
        let response = Response::builder().status(status).body(Full::<Bytes>::default());
        std::future::ready(Ok::<_, Infallible>(response.unwrap()))
    });
    inbox.start_workers(handler.clone()).unwrap();
    for job in 0..DELIVERIES {
        let service = inbox.layer().layer(handler.clone());
        assert_eq!(send(service, signed(caption(&job.to_string()))).await.status, 202);
    }
    while inbox.counts().await.unwrap().of_all(StateKind::Processed) < DELIVERIES {
        inbox.retry(Query::all()).await.unwrap();
    }
    inbox.wait_idle().await;
    let runs = runs.lock().unwrap();
    assert!(runs.values().all(|runs| *runs == 2), "{:?}", runs.values().max());
}
