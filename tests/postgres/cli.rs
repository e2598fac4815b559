//! The command `inbox` with an archive on PostgreSQL, beside a server that has it open.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Output, Stdio},
    time::Duration,
};

use serde_json::Value;
use tower_inbox::{
    Archive, Delivery, DiskArchive, Outcome,
    archive::{Acquire, Append, Query, RemovedEntry},
    signature::Proof,
    testing::Sample,
};

use super::support::{Schema, eventually, server};

impl Schema {
    fn archive_url(&self) -> String {
        format!("{}?schema={}", self.url(), self.name)
    }

    /// Runs the command with this archive.
    fn inbox(&self, arguments: &[&str]) -> Output {
        command(&self.archive_url()).args(arguments).output().unwrap()
    }

    /// The standard output of a command that succeeds.
    fn written(&self, arguments: &[&str]) -> String {
        let output = self.inbox(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", errors(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Vec<Value> {
        self.written(arguments).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn command(archive: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_inbox"));
    command.env("INBOX_ARCHIVE", archive).env_remove("PGPASSWORD").env_remove("PGPASSFILE");
    command
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Appends a delivery with this body, and settles it.
async fn put(archive: &dyn Archive, body: &str, outcome: Option<Outcome>) -> Delivery {
    let delivery = Sample::of("/hooks/a").body(body.to_owned()).delivery();
    let _ = archive.append(Append::new(delivery.clone())).await.unwrap();
    if let Some(outcome) = outcome {
        let lease = archive.acquire(Acquire::new(delivery.id())).await.unwrap().lease.unwrap();
        archive.settle(lease, outcome, Duration::from_secs(3600)).await.unwrap();
    }
    delivery
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn deliveries_are_listed_shown_and_counted_beside_a_server() {
    let server = server();
    let schema = server.schema();
    let archive = schema.open().await;
    let pending = put(&archive, "one", None).await;
    let dead = put(&archive, "two", Some(Outcome::dead("no reason"))).await;
    let done = put(&archive, "three", Some(Outcome::processed(200))).await;

    let ids: Vec<_> =
        schema.json(&["list", "--json"]).iter().map(|one| one["id"].clone()).collect();
    assert_eq!(ids, [&pending, &dead, &done].map(|delivery| delivery.id().to_string()));
    assert_eq!(schema.json(&["dead", "--json"])[0]["id"], dead.id().to_string());
    let id = done.id().to_string();
    assert_eq!(schema.written(&["show", &id, "--body"]), "three");
    assert!(schema.written(&["show", "--last", "1"]).contains("processed 200"));
    let stats = &schema.json(&["stats", "--json"])[0];
    assert_eq!(stats["deliveries"], 3);
    assert_eq!((&stats["states"]["dead"], &stats["models"]["/hooks/a"]), (&1.into(), &3.into()));
    assert!(schema.written(&["stats"]).contains("           3  for /hooks/a"));
    eventually("the node is listed", async || {
        let node = &schema.json(&["stats", "--json"])[0]["nodes"][0];
        node["version"] == env!("CARGO_PKG_VERSION") && node["silent_s"].as_u64() < Some(15)
    })
    .await;
    let stats = schema.written(&["stats"]);
    assert_eq!(stats.matches("        node  ").count(), 1, "the command is no node: {stats}");
    let id = dead.id().to_string();
    assert!(schema.written(&["show", &id, "--history"]).contains("dead: no reason\n\nPOST"));
    let missing = schema.inbox(&["show", "01890a5d-ac96-774b-bcce-b302099a8057"]);
    assert_eq!(missing.status.code(), Some(1), "{}", errors(&missing));
    schema.drop().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn deliveries_are_retried_removed_and_exported_beside_a_server() {
    let server = server();
    let schema = server.schema();
    let archive = schema.open().await;
    let dead = put(&archive, "two", Some(Outcome::dead("no reason"))).await;
    let done = put(&archive, "three", Some(Outcome::processed(200))).await;

    assert!(errors(&schema.inbox(&["retry", "--all", "--dry-run"])).contains("would retry 1"));
    assert!(errors(&schema.inbox(&["retry", "--all"])).contains("requeued 1 delivery"));
    let state = archive.state(dead.id()).await.unwrap().unwrap();
    assert_eq!(state.to_string(), "pending 0 0");
    let warc = schema.written(&["export", "--state", "processed"]);
    assert!(warc.contains("three") && !warc.contains("two"), "{warc}");
    assert!(warc.contains("processed 200"), "{warc}");
    let id = done.id().to_string();
    assert!(errors(&schema.inbox(&["erase", &id])).contains("removed 1 delivery"));
    assert!(archive.get(done.id()).await.unwrap().is_none());
    put(&archive, "four", Some(Outcome::processed(200))).await;
    assert!(errors(&schema.inbox(&["purge", "--keep", "0s"])).contains("removed 1 delivery"));
    assert_eq!(archive.latest(Query::all(), 10).await.unwrap().len(), 1);
    schema.drop().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn commands_for_files_name_what_to_use_instead() {
    let server = server();
    let schema = server.schema();
    for (arguments, wanted) in [
        (&["verify"][..], "data checksums"),
        (&["backup", "/nonexistent"], "pg_basebackup"),
        (&["restore", "/nonexistent"], "pg_restore"),
    ] {
        let output = schema.inbox(arguments);
        assert_eq!(output.status.code(), Some(2));
        assert!(errors(&output).contains(wanted), "{}", errors(&output));
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn schema_is_printed_migrated_and_checked() {
    let server = server();
    let schema = server.schema();
    let missing = schema.inbox(&["schema", "status"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(errors(&schema.inbox(&["list"])).contains("run 'inbox schema migrate'"));
    assert!(schema.written(&["schema", "migrate"]).contains("which is current"));
    assert_eq!(schema.json(&["schema", "status", "--json"])[0]["usable"], true);
    assert_eq!(schema.written(&["list", "--json"]), "");
    let script = schema.written(&["schema", "print"]);
    assert!(script.contains(&format!("CREATE SCHEMA \"{}\"", schema.name)), "{script}");
    assert!(schema.written(&["schema", "print", "--schema", "x"]).contains("CREATE SCHEMA \"x\""));
    schema.drop().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn password_is_refused_on_the_command_line_and_read_from_the_environment() {
    let server = server();
    let schema = server.schema();
    drop(schema.open().await);
    let url = schema.archive_url().replacen('@', ":hunter2@", 1);
    for arguments in [["list", "--archive", &url], ["copy", "--from", &url]] {
        let refused = command("inbox").args(arguments).output().unwrap();
        assert_eq!(refused.status.code(), Some(2), "{}", errors(&refused));
        assert!(errors(&refused).contains("PGPASSFILE"), "{}", errors(&refused));
        assert!(!errors(&refused).contains("hunter2"), "{}", errors(&refused));
    }
    let accepted = command(&url).arg("list").output().unwrap();
    assert_eq!(accepted.status.code(), Some(0), "{}", errors(&accepted));
    schema.drop().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn copy_to_and_from_a_database_keeps_bytes_ids_and_states() {
    let server = server();
    let (schema, dir) = (server.schema(), tempfile::tempdir().unwrap());
    let from = dir.path().join("from");
    let source = DiskArchive::open(&from).await.unwrap();
    for outcome in [
        None,
        Some(Outcome::processed(200)),
        Some(Outcome::dead("no reason")),
        Some(Outcome::undecodable("$: not JSON")),
        Some(Outcome::failed("later")),
    ] {
        put(&source, &format!("{outcome:?}"), outcome).await;
    }
    for number in 0..100 {
        put(&source, &format!("body {number}"), None).await;
    }
    source.close().await;
    let source = DiskArchive::read_only(&from).await.unwrap();
    let to = schema.archive_url();
    let copy = |from: &str, to: &str| {
        let output = command(to).args(["copy", "--from", from]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
        errors(&output)
    };
    assert!(copy(from.to_str().unwrap(), &to).contains("copied 105 deliveries"));
    let again = copy(from.to_str().unwrap(), &to);
    assert!(again.contains("copied 0 deliveries"), "{again}");
    let target = schema.open().await;
    assert_same(&source, &target).await;

    let back = dir.path().join("back");
    copy(&to, back.to_str().unwrap());
    copy(&to, back.to_str().unwrap());
    assert_same(&source, &DiskArchive::read_only(&back).await.unwrap()).await;
    let disk = dir.path().join("disk");
    copy(from.to_str().unwrap(), disk.to_str().unwrap());
    assert_same(&source, &DiskArchive::read_only(&disk).await.unwrap()).await;
    schema.drop().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn repeats_of_removed_deliveries_are_recognized_after_copies_between_disk_and_database() {
    let server = server();
    let (schema, other_schema) = (server.schema(), server.schema());
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let source = DiskArchive::open(path("from")).await.unwrap();
    let kept = put(&source, "kept", Some(Outcome::processed(200))).await;
    let mut removed = Vec::new();
    for (body, outcome) in [
        ("done", Some(Outcome::processed(204))),
        ("repeat", Some(Outcome::repeat(kept.id()))),
        ("poisoned", Some(Outcome::poisoned("crashed"))),
        ("dead", Some(Outcome::dead("no reason"))),
        ("pending", None),
    ] {
        removed.push(put(&source, body, outcome).await);
    }
    let ids = removed.iter().map(Delivery::id);
    assert_eq!(source.remove(Query::all().ids(ids)).await.unwrap(), 5);
    source.close().await;
    let copy = |from: &str, to: &str| {
        let output = command(to).args(["copy", "--from", from]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
        errors(&output)
    };
    let (first, second) = (schema.archive_url(), other_schema.archive_url());
    for (from, to) in [(&path("from"), &first), (&first, &path("back")), (&path("back"), &second)] {
        let output = copy(from, to);
        assert!(output.contains("ledger entries of 3 deliveries without a body"), "{output}");
        assert!(!copy(from, to).contains("ledger entries"), "they are in the target already");
    }
    assert_repeats(&schema.open().await, &removed).await;
    assert_repeats(&DiskArchive::open(path("back")).await.unwrap(), &removed).await;
    assert_repeats(&other_schema.open().await, &removed).await;
    schema.drop().await;
    other_schema.drop().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn interrupted_copy_of_ledger_entries_is_continued() {
    let server = server();
    let (schema, dir) = (server.schema(), tempfile::tempdir().unwrap());
    let source = DiskArchive::open(dir.path()).await.unwrap();
    let mut removed = Vec::new();
    for body in ["appended", "settled", "neither"] {
        removed.push(put(&source, body, Some(Outcome::processed(200))).await);
    }
    let kept = put(&source, "kept", Some(Outcome::processed(200))).await;
    let ids = removed.iter().map(Delivery::id);
    source.remove(Query::all().ids(ids)).await.unwrap();
    let mut entries = source.removed();
    let target = schema.open().await;
    // What a copy has done when it is killed between two statements.
    for settles in [false, true] {
        let RemovedEntry { entry, fingerprint, .. } = entries.next().await.unwrap().unwrap();
        let delivery = Delivery::from_archive(
            entry.id,
            entry.model,
            kept.head().clone(),
            bytes::Bytes::new(),
            entry.received_at,
            Proof::new("inbox-copy", "none", "removed"),
            fingerprint,
        );
        let _ = target.append(Append::new(delivery)).await.unwrap();
        if settles {
            let lease = target.acquire(Acquire::new(entry.id)).await.unwrap().lease.unwrap();
            target.settle(lease, Outcome::processed(200), Duration::ZERO).await.unwrap();
        }
    }
    source.close().await;
    schema.written(&["copy", "--from", dir.path().to_str().unwrap()]);
    let left = target.latest(Query::all(), 9).await.unwrap();
    assert_eq!(left.into_iter().map(|entry| entry.id).collect::<Vec<_>>(), [kept.id()]);
    for delivery in &removed {
        let repeat = Sample::of("/hooks/a").body(delivery.body().clone()).delivery();
        let appended = target.append(Append::new(repeat)).await.unwrap();
        assert_eq!(appended.receipt.id(), delivery.id());
    }
    schema.drop().await;
}

/// Repeats of the first three deliveries are recognized, and their bytes are not stored. Those of the others are new.
async fn assert_repeats(archive: &dyn Archive, removed: &[Delivery]) {
    let states = ["processed 204", "repeat ", "dead poisoned - crashed"];
    for (place, delivery) in removed.iter().enumerate() {
        assert!(archive.get(delivery.id()).await.unwrap().is_none(), "{archive}");
        let repeat = Sample::of("/hooks/a").body(delivery.body().clone()).delivery();
        let appended = archive.append(Append::new(repeat)).await.unwrap();
        match states.get(place) {
            Some(state) => {
                assert_eq!(appended.receipt.id(), delivery.id(), "{archive} {state}");
                assert!(appended.state.to_string().contains(state), "{}", appended.state);
            }
            None => assert!(!appended.receipt.is_repeat(), "{archive} {}", appended.state),
        }
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn interrupted_copy_is_continued_without_duplicates() {
    let server = server();
    let (schema, dir) = (server.schema(), tempfile::tempdir().unwrap());
    let source = DiskArchive::open(dir.path()).await.unwrap();
    let (a, b) = (
        put(&source, "a", Some(Outcome::processed(200))).await,
        put(&source, "b", Some(Outcome::dead("no reason"))).await,
    );
    source.close().await;
    // The interrupted copy had appended both, and recorded no outcome.
    let target = schema.open().await;
    for delivery in [&a, &b] {
        let _ = target.append(Append::new(delivery.clone())).await.unwrap();
    }
    schema.written(&["copy", "--from", dir.path().to_str().unwrap()]);
    let source = DiskArchive::read_only(dir.path()).await.unwrap();
    assert_same(&source, &target).await;
    // The repeat of a copied delivery is recognized.
    let repeat = Sample::of("/hooks/a").body("a").delivery();
    let appended = target.append(Append::new(repeat)).await.unwrap();
    assert_eq!(appended.receipt.id(), a.id());
    schema.drop().await;
}

/// Both archives have the same deliveries in the same order and in the same states.
async fn assert_same(source: &dyn Archive, target: &dyn Archive) {
    let (mut expected, mut found) = (source.scan(Query::all()), target.scan(Query::all()));
    while let Some(expected) = expected.next().await {
        let (expected, found) = (expected.unwrap(), found.next().await.unwrap().unwrap());
        assert_eq!(found.delivery, expected.delivery);
        let kinds = [&found, &expected].map(|archived| archived.state.kind());
        assert_eq!(kinds[0], kinds[1], "{} {}", found.state, expected.state);
        if kinds[0].is_settled() {
            assert_eq!(found.state, expected.state);
        }
    }
    assert!(found.next().await.is_none());
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn list_follow_lists_deliveries_as_they_are_archived() {
    let server = server();
    let schema = server.schema();
    let archive = schema.open().await;
    put(&archive, "before", None).await;
    let mut following = command(&schema.archive_url())
        .args(["list", "--follow", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let before: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(before["bytes"], 6);
    let after = put(&archive, "after that", None).await;
    let line = tokio::task::spawn_blocking(move || lines.next());
    let line = tokio::time::timeout(Duration::from_secs(20), line).await;
    following.kill().unwrap();
    following.wait().unwrap();
    let line = line.expect("listed within 20 s").unwrap().unwrap().unwrap();
    assert!(line.contains(&after.id().to_string()), "{line}");
    schema.drop().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn list_follow_with_a_state_lists_deliveries_when_they_have_it() {
    let server = server();
    let schema = server.schema();
    let archive = schema.open().await;
    let before = put(&archive, "before", None).await;
    put(&archive, "listed", Some(Outcome::dead("at the start"))).await;
    let mut following = command(&schema.archive_url())
        .args(["list", "--follow", "--json", "--state", "dead"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let listed: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(listed["bytes"], 6);
    let after = put(&archive, "after", None).await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    for delivery in [&after, &before] {
        let lease = archive.acquire(Acquire::new(delivery.id())).await.unwrap().lease.unwrap();
        archive.settle(lease, Outcome::dead("later"), Duration::ZERO).await.unwrap();
        let line = tokio::task::spawn_blocking(move || (lines.next(), lines));
        let line = tokio::time::timeout(Duration::from_secs(20), line).await;
        let (line, rest) = line.expect("listed within 20 s").unwrap();
        let line: Value = serde_json::from_str(&line.unwrap().unwrap()).unwrap();
        assert_eq!(line["id"], delivery.id().to_string());
        lines = rest;
    }
    following.kill().unwrap();
    following.wait().unwrap();
    schema.drop().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn ids_are_found_by_prefix_for_doctor_and_replay_and_quarantine_is_cleared() {
    let server = server();
    let schema = server.schema();
    let archive = schema.open().await;
    let delivery = put(&archive, "{}", None).await;
    let prefix = &delivery.id().to_string()[..30];
    let to = ["--to", "http://127.0.0.1:1"];
    let output = schema.inbox(&[&["replay", prefix, "--dry-run"][..], &to].concat());
    assert!(errors(&output).contains("would post 1 delivery"), "{}", errors(&output));
    let output = schema.inbox(&["doctor", prefix, "--as", "mindee", "--secret", "s"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("rejected"));
    let url = schema.archive_url();
    let output = schema.inbox(&["quarantine", "clear", "--all", "--quarantine", &url]);
    assert!(errors(&output).contains("removed 1 delivery"), "{}", errors(&output));
    schema.drop().await;
}

/// The server of the tests accepts any password, so this checks only that the file is read or ignored.
#[cfg(unix)]
#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn password_file_that_others_can_read_is_ignored() {
    use std::os::unix::fs::PermissionsExt;

    let server = server();
    let (schema, dir) = (server.schema(), tempfile::tempdir().unwrap());
    drop(schema.open().await);
    let file = dir.path().join("pgpass");
    std::fs::write(&file, "*:*:*:*:hunter2\n").unwrap();
    for (mode, is_ignored) in [(0o644, true), (0o600, false)] {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let output = command(&schema.archive_url()).env("PGPASSFILE", &file).arg("list").output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
        assert_eq!(errors(&output).contains("others can read it"), is_ignored);
    }
    schema.drop().await;
}
