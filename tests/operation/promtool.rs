//! Evaluates alerts with Prometheus's `promtool`.

use std::{env, fs, path::Path, process::Command};

use serde_json::{Value, json};

use crate::runs::Run;

/// The number of minutes before the change; `AFTER` is the number after it.
const BEFORE: usize = 420;
const AFTER: usize = 25;

/// Runs promtool in a directory. Returns `None` if it is not installed, or panics in CI.
pub(crate) fn promtool(dir: &Path, arguments: &[&str]) -> Option<Result<String, String>> {
    let tool = env::var("INBOX_PROMTOOL").unwrap_or_else(|_| "promtool".to_owned());
    let output = match Command::new(tool).args(arguments).current_dir(dir).output() {
        Ok(output) => output,
        Err(error) => {
            assert!(env::var_os("CI").is_none(), "promtool cannot be run: {error}");
            return None;
        }
    };
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let all = format!("{}{}", text(&output.stdout), text(&output.stderr));
    Some(if output.status.success() { Ok(all) } else { Err(all) })
}

/// Writes the rules in the format of Prometheus.
pub(crate) fn write_rules(dir: &Path, groups: &Value) {
    fs::write(dir.join("rules.json"), json!({ "groups": groups }).to_string()).unwrap();
}

/// Writes a file for `promtool test rules`: in each run, exactly these alerts fire after the change.
pub(crate) fn write_tests(dir: &Path, runs: &[(&str, Vec<&str>, Run)]) {
    let tests: Vec<_> = runs.iter().map(|(name, alerts, run)| test(name, alerts, run)).collect();
    let file = json!({
        "rule_files": ["rules.json"],
        "evaluation_interval": "1m",
        "tests": tests,
    });
    fs::write(dir.join("tests.json"), file.to_string()).unwrap();
}

fn test(name: &str, alerts: &[&str], run: &Run) -> Value {
    let firing = |alert: &&str| json!({"labels": format!("{{alertname=\"{alert}\"}}"), "value": 1});
    let window = AFTER - 1;
    json!({
        "name": name,
        "interval": "1m",
        "input_series": input_series(run),
        "promql_expr_test": [{
            "expr": format!(
                "max by (alertname) (max_over_time(ALERTS{{alertstate=\"firing\"}}[{window}m]))"
            ),
            "eval_time": format!("{}m", BEFORE + AFTER - 1),
            "exp_samples": alerts.iter().map(firing).collect::<Vec<_>>(),
        }],
    })
}

fn input_series(run: &Run) -> Vec<Value> {
    let before = samples(&run.before);
    let series = |(series, after): (String, String)| {
        let shown = before.iter().find(|(other, _)| *other == series);
        let shown = shown.map_or("_", |(_, value)| value);
        let values = format!("{} {}", constant(shown, BEFORE), constant(&after, AFTER));
        json!({"series": scraped(&series), "values": values})
    };
    samples(&run.after).into_iter().map(series).collect()
}

/// Repeats the same value, or no value.
fn constant(value: &str, times: usize) -> String {
    vec![value; times].join(" ")
}

/// Adds the labels that Prometheus adds to a series when it scrapes.
fn scraped(series: &str) -> String {
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let comma = if labels == "}" { "" } else { "," };
    format!("{name}{{job=\"inbox\",instance=\"inbox-0:9000\"{comma}{labels}")
}

/// Returns the series and their values in an exporter's text.
pub(crate) fn samples(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let sample = |line: &str| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        (series.to_owned(), value.to_owned())
    };
    lines.map(sample).collect()
}
