//! The values of the metrics.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tower::{Layer, service_fn};
use tower_inbox::{
    DiskArchive, Inbox, Secret, Workers,
    layer::{InboxBody, Quarantine},
    provider::ModelBuilder,
};

use crate::{metrics_page::page, support::*};

/// The values by metric name and `name=value` labels. For histograms, the number of observations.
struct Seen(BTreeMap<(String, String), f64>);

impl Seen {
    /// Runs `work` with its own recorder and paused time.
    fn of(work: impl Future<Output = ()>) -> Self {
        let recorder = DebuggingRecorder::new();
        let snapshotter = recorder.snapshotter();
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().start_paused(true).build().unwrap();
        metrics::with_local_recorder(&recorder, || runtime.block_on(work));
        let line = |(key, _, _, value): (metrics_util::CompositeKey, _, _, _)| {
            let key = key.key();
            let labels = key.labels().map(|label| format!("{}={}", label.key(), label.value()));
            ((key.name().to_owned(), labels.collect::<Vec<_>>().join(",")), number(value))
        };
        Self(snapshotter.snapshot().into_vec().into_iter().map(line).collect())
    }

    fn value(&self, name: &str, labels: &str) -> f64 {
        let found = self.0.get(&(name.to_owned(), labels.to_owned()));
        *found.unwrap_or_else(|| panic!("no {name} with {labels}: {:#?}", self.0))
    }

    fn names(&self) -> BTreeSet<&str> {
        self.0.keys().map(|(name, _)| name.as_str()).collect()
    }

    #[track_caller]
    fn is(&self, name: &str, labels: &str, expected: f64) {
        let value = self.value(name, labels);
        assert!(
            (value - expected).abs() < f64::EPSILON,
            "{name} {labels}: {value}, not {expected}"
        );
    }
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn number(value: DebugValue) -> f64 {
    match value {
        DebugValue::Counter(count) => count as f64,
        DebugValue::Gauge(value) => value.into_inner(),
        DebugValue::Histogram(values) => values.len() as f64,
    }
}

fn model() -> String {
    format!("model={CAPTIONS}")
}

/// Waits until the gauges are updated. Paused time does not wait for the threads of the disk archive.
async fn update_gauges(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    for _ in 0..1000 {
        tokio::task::yield_now().await;
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Creates every kind of delivery.
async fn all_kinds_of_deliveries(directory: &std::path::Path) {
    let archive = DiskArchive::open(directory).await.unwrap();
    let workers = Workers::new(1);
    let quarantine = Quarantine::new(memory()).max_bytes(20);
    let builder =
        Inbox::builder(archive).model(CAPTIONS, captions()).workers(workers).quarantine(quarantine);
    // Paused time does not wait for the disk: without this, a slow disk fails appends.
    let inbox = builder.archive_timeout(None).build().unwrap();
    let handler = service_fn(|request: Request<InboxBody<Full<Bytes>>>| {
        let dead = request.uri().query() == Some("dead");
        let response = Response::builder().status(if dead { 404 } else { 200 });
        std::future::ready(Ok::<_, Infallible>(response.body(Full::<Bytes>::default()).unwrap()))
    });
    inbox.start_workers(handler).unwrap();
    let service = inbox.layer().layer(handler);
    for request in [
        signed(caption("1")),
        signed(caption("1")),
        signed("junk"),
        signed_to(&format!("{CAPTIONS}?dead"), caption("2")),
        Request::post(CAPTIONS).body(Full::default()).unwrap(),
        Request::post(CAPTIONS).header(SIGNATURE, sign(b"")).body(Full::from("forged")).unwrap(),
        Request::post(CAPTIONS).header(SIGNATURE, sign(b"")).body(Full::from(vec![0; 21])).unwrap(),
    ] {
        send(service.clone(), request).await;
        inbox.settled().await;
    }
    update_gauges(11).await;
}

/// Posts three unknown members, one of them in a delivery that is not sampled.
async fn unknown_members() {
    let model = ModelBuilder::<Caption>::new()
        .detect_schema_drift_every(2)
        .signed_with(Secret::new(SECRET));
    let inbox = Inbox::builder(memory()).model(CAPTIONS, model).build().unwrap();
    let service = inbox.layer().layer(handler(&crate::support::Seen::default()));
    for new in [r#""a": 1"#, r#""b": 1"#, r#""a": 1, "c": {"d": 1}"#] {
        let body = format!(r#"{{"job": "1", "text": "a", {new}}}"#);
        assert_eq!(send(service.clone(), signed(body)).await.status, 200);
    }
    inbox.settled().await;
    let places: Vec<_> = inbox.models().unknown().into_iter().map(|(_, path, _)| path).collect();
    assert_eq!(places, ["$.a", "$.c"]);
}

#[test]
fn unknown_members_are_counted_in_sampled_deliveries() {
    Seen::of(unknown_members()).is("inbox_unknown_members_total", &model(), 2.0);
}

#[test]
fn every_kind_of_delivery_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    let seen = Seen::of(all_kinds_of_deliveries(directory.path()));
    let bytes = f64::from(u16::try_from(2 * caption("1").len() + "junk".len()).unwrap());
    seen.is("inbox_deliveries_received_total", &format!("{},provider=acme", model()), 7.0);
    seen.is("inbox_deliveries_rejected_total", &format!("{},reason=signature", model()), 3.0);
    seen.is("inbox_deliveries_rejected_total", &format!("{},reason=undecodable", model()), 1.0);
    seen.is("inbox_quarantined_total", "kept=yes", 1.0);
    seen.is("inbox_quarantined_total", "kept=no", 1.0);
    seen.is("inbox_archived_bytes_total", &model(), bytes);
    seen.is("inbox_append_wait_seconds", "", 3.0);
    seen.is("inbox_repeats_total", &model(), 1.0);
    seen.is("inbox_decode_errors_total", &model(), 1.0);
    seen.is("inbox_runs_total", &format!("{},outcome=processed", model()), 1.0);
    seen.is("inbox_runs_total", &format!("{},outcome=dead", model()), 1.0);
    seen.is("inbox_attempts", "", 3.0);
    seen.is("inbox_in_flight_bytes", "", 0.0);
    seen.is("inbox_oldest_unsettled_age_seconds", "", 0.0);
    seen.is("inbox_dead_deliveries", &model(), 1.0);
    seen.is("inbox_undecodable_deliveries", &model(), 1.0);
    assert!(seen.value("inbox_archive_size_bytes", "") > 0.0);
    assert!(seen.value("inbox_archive_free_bytes", "") > 0.0);
    let page: BTreeSet<_> = page().into_keys().collect();
    assert!(seen.names().iter().all(|name| page.contains(*name)), "{:?}: {page:?}", seen.names());
}

type Body = Full<Bytes>;

fn respond(status: u16) -> Response<Body> {
    Response::builder().status(status).body(Full::default()).unwrap()
}

/// Posts two deliveries of a paused model, one of them twice.
async fn backlog() {
    let builder = Inbox::builder(memory()).model(CAPTIONS, captions()).background(Workers::new(1));
    let inbox = builder.build().unwrap();
    inbox.pause(&CAPTIONS.parse().unwrap()).await.unwrap();
    let handler = service_fn(async |_: Request<InboxBody<Body>>| Ok::<_, Infallible>(respond(200)));
    inbox.start_workers(handler).unwrap();
    for job in ["1", "1", "2"] {
        send(inbox.layer().layer(handler), signed(caption(job))).await;
    }
    std::thread::sleep(Duration::from_millis(5));
    update_gauges(11).await;
}

#[test]
fn backlog_is_measured() {
    let seen = Seen::of(backlog());
    seen.is("inbox_unsettled_deliveries", &model(), 2.0);
    assert!(seen.value("inbox_oldest_unsettled_age_seconds", "") > 0.0);
    seen.is("inbox_repeats_total", &model(), 1.0);
    assert!(!seen.names().contains("inbox_runs_total"));
}

/// The delivery is leased at one update of the gauges and processed at a later one.
async fn slow_inline_handler() {
    let inbox = inbox(memory());
    let handler = service_fn(async |_: Request<InboxBody<Body>>| {
        tokio::time::sleep(Duration::from_secs(15)).await;
        Ok::<_, Infallible>(respond(200))
    });
    inbox.start_workers(handler).unwrap();
    send(inbox.layer().layer(handler), signed(caption("1"))).await;
    update_gauges(30).await;
}

#[test]
fn processed_inline_delivery_leaves_the_gauge_of_unsettled_deliveries() {
    Seen::of(slow_inline_handler()).is("inbox_unsettled_deliveries", &model(), 0.0);
}

/// One inbox has a delivery in flight, another has completed its own.
async fn two_inboxes() {
    let (one, other) = (inbox(memory()), inbox(memory()));
    let never = service_fn(async |_: Request<InboxBody<Body>>| {
        std::future::pending::<Result<Response<Body>, Infallible>>().await
    });
    tokio::spawn(send(one.layer().layer(never), signed(caption("1"))));
    let handler = service_fn(async |_: Request<InboxBody<Body>>| Ok::<_, Infallible>(respond(200)));
    send(other.layer().layer(handler), signed(caption("2"))).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(one.bytes_in_flight() > 0 && other.bytes_in_flight() == 0);
}

#[test]
fn bytes_in_flight_are_summed_over_all_inboxes() {
    assert!(Seen::of(two_inboxes()).value("inbox_in_flight_bytes", "") > 0.0);
}
