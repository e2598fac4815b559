//! The documentation, the dashboard and the code list the same metrics.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::{Arc, Mutex},
};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

use crate::support::{inbox, memory};

/// The kind of a metric, and its unit.
type Meaning = (&'static str, Option<Unit>);

/// Records the kind and unit of each described metric.
#[derive(Clone, Default)]
struct Described(Arc<Mutex<BTreeMap<String, Meaning>>>);

impl Described {
    fn add(&self, name: &KeyName, kind: &'static str, unit: Option<Unit>) {
        let before = self.0.lock().unwrap().insert(name.as_str().to_owned(), (kind, unit));
        assert!(before.is_none(), "{name:?} is described twice");
    }
}

impl Recorder for Described {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.add(&name, "counter", unit);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.add(&name, "gauge", unit);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.add(&name, "histogram", unit);
    }

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[test]
fn every_metric_is_documented_with_its_kind_and_its_name_ends_with_the_unit() {
    let recorder = Described::default();
    metrics::with_local_recorder(&recorder, || drop(inbox(memory())));
    let described = recorder.0.lock().unwrap().clone();
    let kinds = described.iter().map(|(name, (kind, _))| (name.clone(), (*kind).to_owned()));
    assert_eq!(kinds.collect::<BTreeMap<_, _>>(), page());
    for (name, (kind, unit)) in described {
        let name = match kind {
            "counter" => name.strip_suffix("_total").unwrap_or_else(|| panic!("{name}: no _total")),
            _ => &*name,
        };
        match unit {
            Some(Unit::Bytes) => assert!(name.ends_with("_bytes"), "{name}"),
            Some(Unit::Seconds) => assert!(name.ends_with("_seconds"), "{name}"),
            unit => assert_eq!(unit, Some(Unit::Count), "{name}"),
        }
    }
}

/// Returns the metrics in the table of `docs/metrics.md`, with their kinds.
pub(crate) fn page() -> BTreeMap<String, String> {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md")).unwrap();
    let row = |line: &str| {
        // The table of alerts contains other names.
        let (name, rest) = line.strip_prefix("| `")?.split_once("` | ")?;
        name.strip_prefix("inbox_")?;
        Some((name.to_owned(), rest.split_once(' ')?.0.to_owned()))
    };
    page.lines().filter_map(row).collect()
}

#[test]
fn dashboard_shows_exactly_the_documented_metrics() {
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
    assert_eq!(shown, page().into_keys().collect());
}
