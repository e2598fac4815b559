//! Liveness and readiness of an inbox with a failed archive, disk or worker.

use std::{
    fs,
    future::{pending, ready},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use tower::{Layer, ServiceExt};
use tower_inbox::{
    Archive, DiskArchive, Health, HealthReason, HealthService, Inbox, MemoryArchive, Workers,
    archive::{ArchiveHealth, Claim, Claimed, DiskArchiveBuilder, Query, Work},
    layer::ResponseBody,
    testing::{Fault, FaultyDisk},
};

use crate::support::{
    archive_wrapper::{Overridden, Overrides},
    *,
};

/// Returns the status and the JSON of a probe.
async fn probe(service: HealthService) -> (u16, Value) {
    let answer = send(service, Request::get("/").body(()).unwrap()).await;
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.headers["content-length"], answer.body.len().to_string());
    (answer.status.as_u16(), serde_json::from_str(&answer.body).unwrap())
}

/// Asserts the statuses of both probes and the reasons that they report.
#[track_caller]
fn assert_health(inbox: &Inbox, expected: (u16, u16), reasons: &[HealthReason]) -> impl Future {
    let (health, reasons) = (inbox.health(), reasons.to_vec());
    async move { assert_report(&health, expected, &reasons).await }
}

async fn assert_report(health: &Health, expected: (u16, u16), reasons: &[HealthReason]) {
    let ((live, _), (ready, json)) = (probe(health.live()).await, probe(health.ready()).await);
    let names: Vec<_> = reasons.iter().map(|reason| reason.as_str()).collect();
    assert_eq!(json["reasons"], json!(names), "{json}");
    assert_eq!((live, ready), expected, "{json}");
    let status = match ready {
        503 => "unavailable",
        _ if reasons.is_empty() => "ok",
        _ => "degraded",
    };
    assert_eq!(json["status"], status);
}

async fn post(inbox: &Inbox, job: &str) -> u16 {
    let service = inbox.layer().layer(handler(&Seen::default()));
    send(service, signed(caption(job))).await.status.as_u16()
}

fn quiet(dir: &Path) -> DiskArchiveBuilder {
    DiskArchive::builder(dir).maintenance_interval(None)
}

/// Waits until `is_so` returns true. Panics after a minute.
async fn wait_until(mut is_so: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("it does not become so");
}

#[tokio::test]
async fn probes_answer_get_with_json_and_head_without_a_body() {
    let inbox = inbox(memory());
    let (status, json) = probe(inbox.health().ready()).await;
    assert_eq!(status, 200);
    let archive = json!({"writes": "working", "has_space": null, "damaged": null, "missing": null,
        "maintenance": null});
    let expected = json!({"status": "ok", "reasons": [], "archive": archive, "workers": "not_started",
        "unsettled": 0, "oldest_unsettled_seconds": null});
    assert_eq!(json, expected);
    let head = Request::head("/").body(()).unwrap();
    let answer = send(inbox.health().live(), head).await;
    assert_eq!((answer.status.as_u16(), &*answer.body), (200, ""));
    assert_eq!(answer.headers["content-length"], json.to_string().len().to_string());
    for method in [Method::POST, Method::OPTIONS, Method::DELETE] {
        let request = Request::builder().method(method).uri("/").body(()).unwrap();
        let answer = send(inbox.health().ready(), request).await;
        assert_eq!(answer.status, 405);
        assert_eq!(answer.headers["allow"], "GET, HEAD");
    }
}

#[tokio::test]
async fn probes_are_services_of_axum_and_hyper() {
    fn is_hyper_service<S>(_: &S)
    where
        S: hyper::service::Service<Request<Incoming>, Response = Response<ResponseBody>>,
    {
    }
    let health = inbox(memory()).health();
    is_hyper_service(&TowerToHyperService::new(health.live()));
    let app = axum::Router::<()>::new()
        .route_service("/health/live", health.live())
        .nest_service("/health/ready", health.ready());
    for path in ["/health/live", "/health/ready"] {
        let request = Request::get(path).body(axum::body::Body::empty()).unwrap();
        assert_eq!(app.clone().oneshot(request).await.unwrap().status(), 200, "{path}");
    }
}

#[tokio::test]
async fn head_over_http_has_the_length_of_the_json_and_keeps_the_connection() {
    let (client, server) = tokio::io::duplex(4096);
    let service = TowerToHyperService::new(inbox(memory()).health().ready());
    let io = hyper_util::rt::TokioIo::new(server);
    tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(io, service));
    let io = hyper_util::rt::TokioIo::new(client);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    let mut answers = Vec::new();
    for method in [Method::HEAD, Method::GET] {
        let request = Request::builder().method(method).uri("/").body(Full::<Bytes>::default());
        answers.push(answer(sender.send_request(request.unwrap()).await.unwrap()).await);
        sender.ready().await.unwrap();
    }
    assert_eq!((&*answers[0].body, &answers[1].body[..1]), ("", "{"));
    assert_eq!(answers[0].headers["content-length"], answers[1].headers["content-length"]);
}

#[tokio::test]
async fn failed_write_makes_not_ready_until_a_test_write_succeeds_without_any_delivery() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), FaultyDisk::new());
    let inbox = inbox(disk.open(quiet(dir.path())).await.unwrap());
    assert_eq!(post(&inbox, "1").await, 200);
    inbox.settled().await;
    assert_health(&inbox, (200, 200), &[]).await;
    disk.fail(Fault::ReadOnly);
    assert_eq!(post(&inbox, "2").await, 503);
    assert_health(&inbox, (200, 503), &[HealthReason::ArchiveFailing]).await;
    disk.heal();
    wait_until(async || inbox.health().report().await.is_ready()).await;
    let left = |entry: &fs::DirEntry| entry.file_name() == "inbox.probe";
    let entries: Vec<_> = fs::read_dir(dir.path()).unwrap().map(Result::unwrap).collect();
    assert!(!entries.iter().any(left), "the file of the test write is removed");
    assert_eq!(post(&inbox, "2").await, 200);
}

#[tokio::test]
async fn free_space_below_the_limit_makes_not_ready() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), FaultyDisk::new());
    disk.fail(Fault::Free { bytes: 1 << 20 });
    let inbox = inbox(disk.open(quiet(dir.path()).min_free_space(2 << 20)).await.unwrap());
    assert_health(&inbox, (200, 503), &[HealthReason::NoSpace]).await;
    disk.heal();
    wait_until(async || inbox.health().report().await.is_ready()).await;
}

#[tokio::test]
async fn deleted_lock_file_makes_not_live_because_only_a_restart_helps() {
    let dir = tempfile::tempdir().unwrap();
    let inbox = inbox(quiet(dir.path()).open().await.unwrap());
    fs::remove_file(dir.path().join("inbox.lock")).unwrap();
    assert_eq!(post(&inbox, "1").await, 503);
    assert_health(&inbox, (503, 503), &[HealthReason::ArchiveStopped]).await;
}

/// The process stays live: a restart would create a new archive and hide the loss of the old one.
#[tokio::test]
async fn renamed_directory_makes_not_ready_until_it_is_back() {
    let base = tempfile::tempdir().unwrap();
    let (dir, elsewhere) = (base.path().join("inbox"), base.path().join("elsewhere"));
    let inbox = inbox(quiet(&dir).open().await.unwrap());
    fs::rename(&dir, &elsewhere).unwrap();
    assert_eq!(post(&inbox, "1").await, 503);
    assert_health(&inbox, (200, 503), &[HealthReason::ArchiveFailing]).await;
    fs::rename(&elsewhere, &dir).unwrap();
    wait_until(async || inbox.health().report().await.is_ready()).await;
    assert_eq!(post(&inbox, "1").await, 200);
}

#[tokio::test]
async fn closed_archive_makes_not_live() {
    let dir = tempfile::tempdir().unwrap();
    let archive = quiet(dir.path()).open().await.unwrap();
    let inbox = inbox(archive.clone());
    archive.close().await;
    assert_health(&inbox, (503, 503), &[HealthReason::ArchiveStopped]).await;
}

#[tokio::test]
async fn old_backlog_is_reported_and_deliveries_are_still_received() {
    let builder = Inbox::builder(memory()).model(CAPTIONS, captions()).background(Workers::new(1));
    let inbox = builder.build().unwrap();
    assert_health(&inbox, (200, 503), &[HealthReason::WorkersNotStarted]).await;
    inbox.pause(&CAPTIONS.parse().unwrap()).await.unwrap();
    inbox.start_workers(handler::<Full<Bytes>>(&Seen::default())).unwrap();
    wait_until(async || inbox.health().report().await.reasons().is_empty()).await;
    assert_eq!(post(&inbox, "1").await, 202);
    std::thread::sleep(Duration::from_millis(1));
    let health = inbox.health().oldest_unsettled(Duration::ZERO);
    assert_report(&health, (200, 200), &[HealthReason::OldestUnsettled]).await;
    assert_report(&inbox.health().oldest_unsettled(None), (200, 200), &[]).await;
    inbox.shutdown(Duration::ZERO).await;
    assert_health(&inbox, (200, 503), &[HealthReason::ShuttingDown]).await;
}

/// Returns the only segment of an archive.
fn segment(dir: &Path) -> PathBuf {
    let mut paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    paths.find(|path| path.to_str().unwrap().contains(".warc")).unwrap()
}

/// Flips a bit in the body of the first delivery.
fn damage(dir: &Path) {
    let path = segment(dir);
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(5).position(|bytes| bytes == b"a cat").unwrap();
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
}

#[tokio::test]
async fn damage_is_reported_when_it_is_found_at_open_and_when_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let first = inbox(quiet(dir.path()).open().await.unwrap());
    assert_eq!(post(&first, "1").await, 200);
    assert_eq!(post(&first, "2").await, 200);
    first.settled().await;
    damage(dir.path());
    assert_health(&first, (200, 200), &[]).await;
    let mut all = first.archive().scan(Query::all());
    while all.next().await.is_some() {}
    assert_health(&first, (200, 200), &[HealthReason::Damaged]).await;
    drop((first, all));
    let second = inbox(quiet(dir.path()).open().await.unwrap());
    assert_health(&second, (200, 200), &[HealthReason::Damaged]).await;
    assert_eq!(probe(second.health().ready()).await.1["archive"]["damaged"], 1);
    let text = probe(second.health().ready()).await.1.to_string();
    assert!(!text.contains("tmp") && !text.contains("hooks"), "no paths or models: {text}");
}

#[tokio::test]
async fn failed_maintenance_is_reported_until_a_round_succeeds() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), FaultyDisk::new());
    let archive = disk.open(quiet(dir.path()).segment_age(Duration::ZERO)).await.unwrap();
    let inbox = inbox(archive.clone());
    assert_eq!(post(&inbox, "1").await, 200);
    inbox.settled().await;
    disk.fail(Fault::ReadOnly);
    assert!(archive.maintain_now().await.is_err());
    assert_health(&inbox, (200, 200), &[HealthReason::MaintenanceFailed]).await;
    disk.heal();
    archive.maintain_now().await.unwrap();
    assert_health(&inbox, (200, 200), &[]).await;
    let json = probe(inbox.health().ready()).await.1;
    assert_eq!(json["archive"]["maintenance"]["failed"], false);
}

/// An archive that reports no condition and panics on claims.
#[derive(Clone, Debug, Default)]
struct Broken {
    inner: MemoryArchive,
    asked: Arc<AtomicUsize>,
    hangs: bool,
}

impl Overrides for Broken {
    fn inner(&self) -> &dyn Archive {
        &self.inner
    }

    fn claim(&self, _: Claim) -> Work<Claimed> {
        panic!("on purpose")
    }

    fn health(&self) -> Work<ArchiveHealth> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.hangs { Box::pin(pending()) } else { Box::pin(ready(Ok(ArchiveHealth::default()))) }
    }
}

#[tokio::test(start_paused = true)]
async fn archive_that_does_not_answer_makes_not_ready_and_is_asked_once_a_second() {
    let broken = Broken { hangs: true, ..Broken::default() };
    let asked = Arc::clone(&broken.asked);
    let inbox = inbox(Overridden(broken));
    let health = inbox.health();
    let (ready, live) = tokio::join!(probe(health.ready()), probe(health.live()));
    assert_eq!((ready.0, live.0, asked.load(Ordering::Relaxed)), (503, 200, 1));
    assert_eq!(health.report().await.reasons(), [HealthReason::ArchiveUnknown]);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    tokio::time::sleep(Duration::from_secs(1)).await;
    health.report().await;
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn panicking_worker_pool_is_reported_while_deliveries_are_received() {
    let inbox = inbox(Overridden(Broken::default()));
    inbox.start_workers(handler::<Full<Bytes>>(&Seen::default())).unwrap();
    let restarting = [HealthReason::WorkersRestarting];
    wait_until(async || inbox.health().report().await.reasons() == restarting).await;
    assert_eq!(post(&inbox, "1").await, 200);
    let report = inbox.health().report().await;
    assert!(report.is_live() && report.is_ready(), "{report:?}");
}

#[tokio::test]
async fn workers_whose_runtime_has_ended_make_not_live() {
    let inbox = inbox(memory());
    let shared = inbox.clone();
    let start = move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            shared.start_workers(handler::<Full<Bytes>>(&Seen::default())).unwrap();
            let is_running = async || shared.health().report().await.reasons().is_empty();
            wait_until(is_running).await;
            wait_until(async || probe(shared.health().live()).await.1["workers"] == "running")
                .await;
        });
    };
    std::thread::spawn(start).join().unwrap();
    assert_health(&inbox, (503, 200), &[HealthReason::WorkersEnded]).await;
    assert_eq!(post(&inbox, "1").await, 200);
}
