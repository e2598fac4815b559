//! `docs/prometheus-rules.yaml`: each alert fires in the run of the inbox that provokes it, and in no other.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

use crate::{
    promtool::{promtool, samples, write_rules, write_tests},
    runs::{self, Run},
};

/// Returns the groups of rules.
fn groups() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/prometheus-rules.yaml");
    let file: Value = serde_yaml_ng::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(file["kind"], "PrometheusRule");
    file["spec"]["groups"].clone()
}

fn rules() -> Vec<Value> {
    groups()[0]["rules"].as_array().unwrap().clone()
}

/// Returns the runs, with the alerts that fire in each.
fn all() -> Vec<(&'static str, Vec<&'static str>, Run)> {
    vec![
        ("all is well", vec![], Run::of(runs::all_is_well)),
        ("dead", vec!["InboxDeadDeliveries"], Run::of(runs::dead)),
        (
            "undecodable",
            vec!["InboxDecodeErrors", "InboxUndecodableDeliveries"],
            Run::of(runs::undecodable),
        ),
        ("oldest", vec!["InboxOldestUnsettled"], Run::of(runs::oldest_unsettled)),
        ("little space", vec!["InboxDiskSpaceLow"], Run::of(runs::little_space)),
        ("read-only disk", vec!["InboxArchiveNotWritable"], Run::of(runs::read_only_disk)),
        ("damage", vec!["InboxArchiveDamaged"], Run::of(runs::damage)),
        ("missing", vec!["InboxArchiveSegmentsMissing"], Run::of(runs::missing_segments)),
        ("failed maintenance", vec!["InboxMaintenanceFailed"], Run::of(runs::failed_maintenance)),
        (
            "overdue maintenance",
            vec!["InboxMaintenanceOverdue"],
            Run::of(runs::overdue_maintenance),
        ),
        ("no deliveries", vec!["InboxNoDeliveries"], Run::of(runs::no_deliveries)),
        ("overdue result", vec!["InboxOverdueResults"], Run::of(runs::overdue_result)),
        ("panic", vec!["InboxTaskPanics"], Run::of(runs::panicking_task)),
        ("new members", vec!["InboxSchemaDrift"], Run::of(runs::unknown_members)),
        ("unavailable", vec!["InboxGaugesUnknown"], Run::of(runs::unavailable_archive)),
    ]
}

#[test]
fn every_alert_fires_in_the_run_that_provokes_it_and_in_no_other() {
    let runs = all();
    let provoked: BTreeSet<_> = runs.iter().flat_map(|(_, alerts, _)| alerts.clone()).collect();
    let rules = rules();
    let names: BTreeSet<_> = rules.iter().map(|rule| rule["alert"].as_str().unwrap()).collect();
    assert_eq!(provoked, names);
    for (name, alerts, run) in &runs {
        for rule in rules.iter().filter(|rule| alerts.contains(&rule["alert"].as_str().unwrap())) {
            assert_is_exported(rule, run, name);
        }
    }
    let dir = tempfile::tempdir().unwrap();
    write_rules(dir.path(), &groups());
    write_tests(dir.path(), &runs);
    for command in [["check", "rules", "rules.json"], ["test", "rules", "tests.json"]] {
        let Some(result) = promtool(dir.path(), &command) else {
            eprintln!(
                "skipped: every_alert_fires_in_the_run_that_provokes_it_and_in_no_other needs promtool, of the Debian \
                 package prometheus; name its path in INBOX_PROMTOOL"
            );
            return;
        };
        result.unwrap_or_else(|error| panic!("{error}"));
    }
}

/// Asserts that the run exports the metrics of the rule, with the labels that the rule uses.
fn assert_is_exported(rule: &Value, run: &Run, name: &str) {
    let exported = samples(&run.after);
    let expression = rule["expr"].as_str().unwrap();
    for metric in metrics(expression) {
        let of_metric = |(series, _): &&(String, String)| {
            series.split('{').next().is_some_and(|name| name == metric)
        };
        let found: Vec<_> = exported.iter().filter(of_metric).collect();
        assert!(!found.is_empty(), "{name}: {metric} is not exported");
        for label in labels(rule) {
            let has = |series: &str| series.contains(&format!("{label}=\""));
            assert!(found.iter().all(|(series, _)| has(series)), "{name}: {found:?} {label}");
        }
    }
}

fn metrics(expression: &str) -> BTreeSet<&str> {
    let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("inbox_")).collect()
}

/// Returns the labels in `by (…)` and in annotations, except those that Prometheus adds.
fn labels(rule: &Value) -> BTreeSet<String> {
    let text = rule.to_string();
    let after = |text: &str| {
        let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        text[..end.unwrap_or(text.len())].to_owned()
    };
    let in_annotations = text.split("$labels.").skip(1).map(after);
    let in_by =
        text.split("by (").skip(1).flat_map(|text| text.split(')').next().unwrap().split(','));
    let by = in_by.map(|label| label.trim().to_owned()).filter(|label| label != "job");
    in_annotations.chain(by).collect()
}

#[test]
fn metrics_and_labels_are_found_in_rules() {
    let rule: Value = serde_json::json!({
        "expr": "sum by (job, model) (increase(inbox_a_total[1d])) == 0 or inbox_b > 1",
        "annotations": {"summary": "{{ $labels.task }}."},
    });
    assert_eq!(metrics(rule["expr"].as_str().unwrap()), ["inbox_a_total", "inbox_b"].into());
    assert_eq!(labels(&rule), ["model".to_owned(), "task".to_owned()].into());
}

#[test]
fn metrics_page_lists_every_alert() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let page = fs::read_to_string(path).unwrap();
    for rule in rules() {
        let name = rule["alert"].as_str().unwrap();
        assert!(page.contains(&format!("`{name}`")), "{name} is not on the page");
    }
}
