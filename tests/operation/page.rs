//! `docs/operation.md`: its manifests, its systemd unit and its commands. Its program is a doctest.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde::Deserialize;
use serde_json::{Value, json};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap()
}

fn page() -> String {
    read("docs/operation.md")
}

/// Returns the code blocks in a language.
fn blocks<'p>(page: &'p str, language: &str) -> Vec<&'p str> {
    let start = format!("```{language}\n");
    page.split(&start).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

pub(crate) fn documents(yaml: &str) -> Vec<Value> {
    let documents = serde_yaml_ng::Deserializer::from_str(yaml);
    documents.map(|document| Value::deserialize(document).unwrap()).collect()
}

#[test]
fn kubernetes_manifests_have_one_writer_and_probes_that_the_program_serves() {
    let page = page();
    let [stateful_set, deployment] = blocks(&page, "yaml").try_into().unwrap();
    let [set, service] = documents(stateful_set).try_into().unwrap();
    assert_eq!((&set["kind"], &service["kind"]), (&json!("StatefulSet"), &json!("Service")));
    assert_eq!(set["spec"]["replicas"], 1);
    let claim = &set["spec"]["volumeClaimTemplates"][0]["spec"];
    assert_eq!(claim["accessModes"], json!(["ReadWriteOncePod"]));
    let pod = &set["spec"]["template"]["spec"];
    assert_eq!(pod["terminationGracePeriodSeconds"], 30);
    assert_eq!(pod["securityContext"]["fsGroup"], pod["securityContext"]["runAsGroup"]);
    let container = &pod["containers"][0];
    let mount = container["volumeMounts"][0]["mountPath"].as_str().unwrap();
    assert!(page.contains(&format!("DiskArchive::builder(\"{mount}/archive\")")), "{mount}");
    for (probe, path) in
        [("startupProbe", "/live"), ("livenessProbe", "/live"), ("readinessProbe", "/ready")]
    {
        assert_eq!(container[probe]["httpGet"]["path"], path);
        assert!(page.contains(&format!("route_service(\"{path}\"")), "{path}");
    }
    let [deployment] = documents(deployment).try_into().unwrap();
    assert_eq!(deployment, json!({"replicas": 1, "strategy": {"type": "Recreate"}}));
}

#[test]
fn systemd_unit_is_accepted_by_systemd_analyze() {
    let page = page();
    let [unit] = blocks(&page, "ini").try_into().unwrap();
    assert!(unit.contains("StateDirectory=inbox\n") && page.contains("\"/var/lib/inbox/"));
    let dir = tempfile::tempdir().unwrap();
    let path: PathBuf = dir.path().join("receiver.service");
    // The program must exist.
    fs::write(&path, unit.replace("/usr/local/bin/receiver", "/bin/true")).unwrap();
    let Ok(output) = Command::new("systemd-analyze").arg("verify").arg(&path).output() else {
        eprintln!("skipped: systemd_unit_is_accepted_by_systemd_analyze needs systemd-analyze");
        return;
    };
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    if errors.contains("Failed to initialize manager") || errors.contains("Failed to create") {
        eprintln!("skipped: systemd_unit_is_accepted_by_systemd_analyze: {errors}");
        return;
    }
    assert!(output.status.success(), "{errors}");
    assert!(!errors.contains("receiver.service:"), "{errors}");
}

/// Returns the commands in inline code on a page: the words after a separate word `inbox`.
fn commands<'p>(page: &'p str) -> Vec<Vec<&'p str>> {
    let code = page.split('`').skip(1).step_by(2);
    let words = code.map(|code| code.split_whitespace().collect::<Vec<_>>());
    let command = |words: Vec<&'p str>| {
        let at = words.iter().rposition(|word| *word == "inbox")?;
        Some(words[at + 1..].to_vec()).filter(|words| !words.is_empty())
    };
    words.filter_map(command).collect()
}

#[test]
fn commands_and_options_on_the_page_and_in_the_alerts_exist() {
    let page = [page(), read("docs/many-nodes.md")].join("\n");
    let rules = read("docs/prometheus-rules.yaml");
    let inline: Vec<_> = page.split("```").step_by(2).collect();
    let inline = inline.join("");
    let mut all = commands(&inline);
    all.extend(commands(&rules));
    assert!(all.len() >= 10, "{all:?}");
    for words in all {
        let names = if words[0] == "schema" { &words[..2] } else { &words[..1] };
        let help = Command::new(env!("CARGO_BIN_EXE_inbox")).arg("help").args(names).output();
        let help = help.unwrap();
        assert!(help.status.success(), "there is no command {words:?}");
        let text = String::from_utf8(help.stdout).unwrap();
        for option in words.iter().filter(|word| word.starts_with("--")) {
            assert!(*option == "--archive" || text.contains(option), "{words:?}: {option}");
        }
    }
}

#[test]
fn health_table_of_the_page_is_that_of_the_code() {
    let (page, code) = (page(), read("src/inbox/health/report.rs"));
    let names = code.lines().filter_map(|line| line.trim().strip_prefix("Self::"));
    let names = names.filter_map(|line| line.split_once(" => \""));
    let names: Vec<_> = names.map(|(name, text)| (name, text.trim_end_matches("\","))).collect();
    assert!(names.len() >= 14, "{names:?}");
    for (variant, name) in names {
        let row = |prefix: &str, text: &str| {
            let row = text.lines().find(|line| line.contains(prefix)).map(|line| {
                let cells: Vec<_> = line.split('|').map(str::trim).collect();
                [cells[2].to_owned(), cells[3].to_owned()]
            });
            row.unwrap_or_else(|| panic!("no row {prefix}"))
        };
        let documented = row(&format!("(Self::{variant}) |"), &code);
        assert_eq!(row(&format!("| `{name}` |"), &page), documented, "{name}");
    }
}
