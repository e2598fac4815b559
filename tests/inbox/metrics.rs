//! What is counted and measured, and that the page, the dashboard and the code speak of the same metrics.

use std::{collections::BTreeSet, convert::Infallible, fs, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use tower::{Layer, service_fn};
use tower_inbox::{
    DiskArchive, Inbox, Workers,
    layer::{InboxBody, Quarantine},
};

use crate::support::*;

/// Name, labels as `name=value`, and value; of histograms, how many values.
fn snapshot(snapshotter: &Snapshotter) -> Vec<(String, String, f64)> {
    let of = |value| match value {
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        DebugValue::Counter(count) => count as f64,
        DebugValue::Gauge(value) => value.into_inner(),
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        DebugValue::Histogram(values) => values.len() as f64,
    };
    let line = |(key, _, _, value): (metrics_util::CompositeKey, _, _, _)| {
        let key = key.key();
        let labels = key.labels().map(|label| format!("{}={}", label.key(), label.value()));
        (key.name().to_owned(), labels.collect::<Vec<_>>().join(","), of(value))
    };
    snapshotter.snapshot().into_vec().into_iter().map(line).collect()
}

/// Every kind of delivery there is, and then a sweep.
async fn a_day(directory: &std::path::Path) {
    let archive = DiskArchive::open(directory).await.unwrap();
    let workers = Workers::new(1);
    let quarantine = Quarantine::new(memory()).most_bytes(20);
    let builder =
        Inbox::builder(archive).model(CAPTIONS, captions()).workers(workers).quarantine(quarantine);
    let inbox = builder.build().unwrap();
    let handler = service_fn(|request: Request<InboxBody<Full<Bytes>>>| {
        let dead = request.uri().query() == Some("dead");
        let response = Response::builder().status(if dead { 404 } else { 200 });
        std::future::ready(Ok::<_, Infallible>(response.body(Full::<Bytes>::default()).unwrap()))
    });
    inbox.work(handler);
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
    tokio::time::sleep(Duration::from_secs(11)).await;
    // What a sweep asks of the disk is done by another thread, which no paused clock waits for.
    for _ in 0..1000 {
        tokio::task::yield_now().await;
        std::thread::sleep(Duration::from_micros(100));
    }
}

#[test]
fn what_happens_is_counted_and_the_page_names_all_of_it() {
    let (directory, recorder) = (tempfile::tempdir().unwrap(), DebuggingRecorder::new());
    let snapshotter = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    metrics::with_local_recorder(&recorder, || runtime.block_on(a_day(directory.path())));
    let seen = snapshot(&snapshotter);
    let value = |name: &str, labels: &str| {
        let found = seen.iter().find(|(known, with, _)| known == name && with == labels);
        found.unwrap_or_else(|| panic!("no {name} with {labels}: {seen:#?}")).2
    };
    let model = format!("model={CAPTIONS}");
    let bytes = f64::from(u16::try_from(2 * caption("1").len() + "junk".len()).unwrap());
    for (name, labels, expected) in [
        ("inbox_deliveries_received_total", format!("{model},provider=acme"), 7.0),
        ("inbox_deliveries_refused_total", "reason=signature".to_owned(), 3.0),
        ("inbox_deliveries_refused_total", "reason=undecodable".to_owned(), 1.0),
        ("inbox_quarantined_total", "kept=yes".to_owned(), 1.0),
        ("inbox_quarantined_total", "kept=no".to_owned(), 1.0),
        ("inbox_archived_bytes_total", model.clone(), bytes),
        ("inbox_append_wait_seconds", String::new(), 3.0),
        ("inbox_repeats_total", model.clone(), 1.0),
        ("inbox_decode_errors_total", model.clone(), 1.0),
        ("inbox_runs_total", format!("{model},outcome=processed"), 1.0),
        ("inbox_runs_total", format!("{model},outcome=dead"), 1.0),
        ("inbox_attempts", String::new(), 3.0),
        ("inbox_in_flight_bytes", String::new(), 0.0),
        ("inbox_oldest_unsettled_age_seconds", String::new(), 0.0),
    ] {
        assert!(
            (value(name, &labels) - expected).abs() < f64::EPSILON,
            "{name} {labels}: {seen:#?}"
        );
    }
    assert!(value("inbox_archive_size_bytes", "") > 0.0);
    assert!(value("inbox_archive_free_bytes", "") > 0.0);

    let page = page();
    let names: BTreeSet<_> = seen.iter().map(|(name, ..)| name.clone()).collect();
    assert!(names.is_subset(&page), "the page lacks {:?}", names.difference(&page));
}

/// The metrics in the table of the page.
fn page() -> BTreeSet<String> {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md")).unwrap();
    let name = |line: &str| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned());
    page.lines().filter_map(name).collect()
}

#[test]
fn the_dashboard_shows_every_metric_and_no_other() {
    let dashboard =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/grafana.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().unwrap());
    let queries: Vec<_> = targets.map(|target| target["expr"].as_str().unwrap()).collect();
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    let shown: BTreeSet<_> = queries
        .iter()
        .flat_map(|query| query.split(word))
        .filter(|word| word.starts_with("inbox_"))
        .map(str::to_owned)
        .collect();
    assert_eq!(shown, page());
}
