//! Runs of an inbox with failures, and the text of a Prometheus exporter before and after each.

use std::{
    fs,
    future::ready,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tower::{Layer, service_fn};
use tower_inbox::{
    Archive, DiskArchive, Expectations, Inbox, InboxBuilder, MemoryArchive, Outcome, Secret,
    Workers,
    archive::{ArchiveError, ArchiveHealth, Claim, Claimed, DiskArchiveBuilder, Maintenance, Work},
    layer::{Clock, InboxBody},
    provider::ModelBuilder,
    testing::{Fault, FaultyDisk},
};

use crate::{
    support::*,
    wrapper::{Overridden, Overrides},
};

/// The text of an exporter before and after an event.
pub(crate) struct Run {
    pub(crate) before: String,
    pub(crate) after: String,
}

impl Run {
    /// Runs `scenario` on this thread, with its own exporter.
    pub(crate) fn of(scenario: impl AsyncFnOnce(&PrometheusHandle) -> Self) -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        let exporter = recorder.handle();
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build().unwrap();
        metrics::with_local_recorder(&recorder, || runtime.block_on(scenario(&exporter)))
    }

    /// Posts `bodies` to an inbox, and then starts its workers, which update the gauges immediately. Returns when the
    /// exporter shows `line`.
    async fn post(inbox: &Inbox, exporter: &PrometheusHandle, bodies: &[&str], line: &str) -> Self {
        let before = exporter.render();
        for body in bodies {
            let service = inbox.layer().layer(by_text());
            send(service, signed((*body).to_owned())).await;
        }
        inbox.settled().await;
        inbox.start_workers(by_text()).unwrap();
        Self { before, after: wait_for(exporter, line).await }
    }
}

/// Returns a service that responds 404 to the job `rejected`, which makes it dead.
pub(crate) fn by_text() -> impl Handler<Full<Bytes>> + Sync {
    service_fn(|request: Request<InboxBody<Full<Bytes>>>| {
        let caption = request.extensions().get::<tower_inbox::Inference<Caption>>();
        let rejects = caption.is_some_and(|caption| caption.job == "rejected");
        let response = Response::builder().status(if rejects { 404 } else { 200 });
        ready(Ok(response.body(Full::default()).unwrap()))
    })
}

/// Waits for a line with this start, and returns the exporter's text.
async fn wait_for(exporter: &PrometheusHandle, line: &str) -> String {
    let waiting = async {
        loop {
            let text = exporter.render();
            if text.lines().any(|other| other.starts_with(line)) {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let shown = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    shown.unwrap_or_else(|_| panic!("{line} is not shown: {}", exporter.render()))
}

fn builder(archive: impl Archive) -> InboxBuilder {
    Inbox::builder(archive).model(CAPTIONS, captions())
}

fn quiet(dir: &Path) -> DiskArchiveBuilder {
    DiskArchive::builder(dir).maintenance_interval(None)
}

/// A disk with plenty of free space.
fn roomy() -> FaultyDisk {
    let disk = FaultyDisk::new();
    disk.fail(Fault::Free { bytes: 100 << 30 });
    disk
}

pub(crate) async fn all_is_well(exporter: &PrometheusHandle) -> Run {
    let dir = tempfile::tempdir().unwrap();
    let archive = roomy().open(quiet(dir.path())).await.unwrap();
    archive.maintain_now().await.unwrap();
    let inbox = builder(archive).build().unwrap();
    Run::post(&inbox, exporter, &[&caption("1")], "inbox_archive_maintenance_failed 0").await
}

pub(crate) async fn dead(exporter: &PrometheusHandle) -> Run {
    let inbox = builder(memory()).build().unwrap();
    let line = format!("inbox_dead_deliveries{{model=\"{CAPTIONS}\"}} 1");
    Run::post(&inbox, exporter, &[&caption("rejected")], &line).await
}

pub(crate) async fn undecodable(exporter: &PrometheusHandle) -> Run {
    let inbox = builder(memory()).build().unwrap();
    let line = format!("inbox_undecodable_deliveries{{model=\"{CAPTIONS}\"}} 1");
    Run::post(&inbox, exporter, &["junk"], &line).await
}

pub(crate) async fn oldest_unsettled(exporter: &PrometheusHandle) -> Run {
    let hours = Arc::new(AtomicU64::new(0));
    let offset = Arc::clone(&hours);
    let now =
        move || SystemTime::now() + Duration::from_secs(offset.load(Ordering::Relaxed) * 60 * 60);
    let builder = builder(memory()).clock(Clock::new(now)).background(Workers::new(1));
    let inbox = builder.build().unwrap();
    inbox.pause(&CAPTIONS.parse().unwrap()).await.unwrap();
    let before = exporter.render();
    send(inbox.layer().layer(by_text()), signed(caption("1"))).await;
    hours.store(2, Ordering::Relaxed);
    inbox.start_workers(by_text()).unwrap();
    Run { before, after: wait_for(exporter, "inbox_oldest_unsettled_age_seconds 7").await }
}

pub(crate) async fn overdue_result(exporter: &PrometheusHandle) -> Run {
    let archive = MemoryArchive::new();
    let expectations = Expectations::new(archive.clone());
    let inbox = builder(memory()).expectations(expectations).build().unwrap();
    let _ = inbox.expect(CAPTIONS, "1", Duration::ZERO).await.unwrap();
    let model = format!("expected:{CAPTIONS}").parse().unwrap();
    let claimed = archive.claim(Claim::new(vec![(model, 1)], 1)).await.unwrap();
    for (_, lease) in claimed.leases {
        let failed = Outcome::failed("not ready");
        archive.settle(lease, failed, Duration::from_secs(60 * 60)).await.unwrap();
    }
    Run::post(&inbox, exporter, &[&caption("2")], "inbox_overdue_results 1").await
}

pub(crate) async fn little_space(exporter: &PrometheusHandle) -> Run {
    let (dir, disk) = (tempfile::tempdir().unwrap(), FaultyDisk::new());
    disk.fail(Fault::Free { bytes: 500 << 20 });
    let inbox = builder(disk.open(quiet(dir.path())).await.unwrap()).build().unwrap();
    Run::post(&inbox, exporter, &[&caption("1")], "inbox_archive_free_bytes 524288000").await
}

pub(crate) async fn read_only_disk(exporter: &PrometheusHandle) -> Run {
    let (dir, disk) = (tempfile::tempdir().unwrap(), roomy());
    let inbox = builder(disk.open(quiet(dir.path())).await.unwrap()).build().unwrap();
    disk.fail(Fault::ReadOnly);
    Run::post(&inbox, exporter, &[&caption("1")], "inbox_archive_writable 0").await
}

pub(crate) async fn damage(exporter: &PrometheusHandle) -> Run {
    let dir = tempfile::tempdir().unwrap();
    let first = builder(quiet(dir.path()).open().await.unwrap()).build().unwrap();
    for job in ["1", "2"] {
        send(first.layer().layer(by_text()), signed(caption(job))).await;
    }
    first.settled().await;
    drop(first);
    flip_a_bit_of_a_body(dir.path());
    let second = builder(quiet(dir.path()).open().await.unwrap()).build().unwrap();
    Run::post(&second, exporter, &[&caption("3")], "inbox_archive_damaged_places 1").await
}

fn flip_a_bit_of_a_body(dir: &Path) {
    let mut paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let path = paths.find(|path| path.to_str().unwrap().contains(".warc")).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(5).position(|bytes| bytes == b"a cat").unwrap();
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
}

pub(crate) async fn failed_maintenance(exporter: &PrometheusHandle) -> Run {
    let (dir, disk) = (tempfile::tempdir().unwrap(), roomy());
    let archive = disk.open(quiet(dir.path()).segment_age(Duration::ZERO)).await.unwrap();
    let inbox = builder(archive.clone()).build().unwrap();
    send(inbox.layer().layer(by_text()), signed(caption("1"))).await;
    inbox.settled().await;
    disk.fail(Fault::ReadOnly);
    archive.maintain_now().await.unwrap_err();
    disk.fail(Fault::Free { bytes: 100 << 30 });
    Run::post(&inbox, exporter, &[&caption("2")], "inbox_archive_maintenance_failed 1").await
}

pub(crate) async fn no_deliveries(exporter: &PrometheusHandle) -> Run {
    let inbox = builder(memory()).build().unwrap();
    Run::post(&inbox, exporter, &[], "inbox_archive_writable 1").await
}

pub(crate) async fn unknown_members(exporter: &PrometheusHandle) -> Run {
    let model = ModelBuilder::<Caption>::new()
        .detect_schema_drift_every(1)
        .signed_with(Secret::new(SECRET));
    let inbox = Inbox::builder(memory()).model(CAPTIONS, model).build().unwrap();
    let body = r#"{"job": "1", "text": "a", "new": 1}"#;
    let line = format!("inbox_unknown_members_total{{model=\"{CAPTIONS}\"}} 1");
    Run::post(&inbox, exporter, &[body], &line).await
}

/// An in-memory archive with a configurable health report, like that of a disk archive.
#[derive(Clone, Debug, Default)]
struct Reports {
    inner: MemoryArchive,
    health: Option<ArchiveHealth>,
    claims_panic: bool,
}

impl Overrides for Reports {
    fn inner(&self) -> &dyn Archive {
        &self.inner
    }

    fn claim(&self, claim: Claim) -> Work<Claimed> {
        assert!(!self.claims_panic, "on purpose");
        self.inner.claim(claim)
    }

    fn health(&self) -> Work<ArchiveHealth> {
        let unavailable = || ArchiveError::Unavailable("by the test".into());
        Box::pin(ready(self.health.ok_or_else(unavailable)))
    }
}

/// Runs an inbox whose archive reports its health as modified by `change`.
async fn reported(
    exporter: &PrometheusHandle,
    change: impl FnOnce(&mut ArchiveHealth),
    line: &str,
) -> Run {
    let mut health = memory().health().await.unwrap();
    change(&mut health);
    let archive = Reports { health: Some(health), ..Reports::default() };
    let inbox = builder(Overridden(archive)).build().unwrap();
    Run::post(&inbox, exporter, &[&caption("1")], line).await
}

pub(crate) async fn missing_segments(exporter: &PrometheusHandle) -> Run {
    let line = "inbox_archive_missing_segments 2";
    reported(exporter, |health| health.missing = Some(2), line).await
}

/// `promtool` evaluates rules in time since the Unix epoch.
pub(crate) async fn overdue_maintenance(exporter: &PrometheusHandle) -> Run {
    let maintenance = Some(Maintenance::new(SystemTime::UNIX_EPOCH, false));
    let line = "inbox_archive_maintenance_timestamp_seconds 0";
    reported(exporter, |health| health.maintenance = maintenance, line).await
}

pub(crate) async fn unavailable_archive(exporter: &PrometheusHandle) -> Run {
    let inbox = builder(Overridden(Reports::default())).build().unwrap();
    Run::post(&inbox, exporter, &[&caption("1")], "inbox_archive_writable NaN").await
}

pub(crate) async fn panicking_task(exporter: &PrometheusHandle) -> Run {
    let health = memory().health().await.ok();
    let archive = Reports { health, claims_panic: true, ..Reports::default() };
    let inbox = builder(Overridden(archive)).build().unwrap();
    let line = "inbox_task_panics_total{task=\"worker pool\"} 1";
    Run::post(&inbox, exporter, &[&caption("1")], line).await
}
