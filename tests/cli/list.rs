//! `inbox list`.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
    time::{Duration, SystemTime},
};

use tower_inbox::{
    Archive, DeliveryId,
    archive::{Acquire, Append},
    testing::Sample,
};

use super::{HOUR, append, builder, fill, ids, inferences, objects, written};

#[tokio::test]
async fn list_selects_by_state_model_and_time_while_a_server_writes() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let all = fill(&archive).await;
    let found = objects(&written(dir.path(), &["list", "--json"]));
    assert_eq!(found.len(), all.len());
    for (object, one) in found.iter().zip(&all) {
        assert_eq!(object["id"], one.id().to_string());
        assert_eq!(object["bytes"], one.body().len());
        assert_eq!(object["sha256"], one.digest().to_string());
    }
    assert_eq!(found[3]["state"], "pending");
    assert_eq!((&found[4]["state"], &found[4]["status"]), (&"processed".into(), &200.into()));
    for (selection, wanted) in [
        (vec!["--pending"], vec![3]),
        (vec!["--settled", "--before", "1970-01-01T02:30:00Z"], vec![0, 1, 2]),
        (vec!["--state", "processed", "--since", "1970-01-01T08:00:00Z"], vec![8, 9]),
        (vec!["--model", "/other"], vec![]),
    ] {
        let found = objects(&written(dir.path(), &[vec!["list", "--json"], selection].concat()));
        let ids: Vec<_> = found.iter().map(|object| object["id"].as_str().unwrap()).collect();
        assert_eq!(
            ids,
            wanted.iter().map(|at: &usize| all[*at].id().to_string()).collect::<Vec<_>>()
        );
    }
    let table = written(dir.path(), &["list"]);
    assert_eq!(table.lines().count(), 11);
    assert!(table.lines().nth(4).unwrap().ends_with("  pending"), "{table}");
}

#[tokio::test]
async fn leased_is_a_state_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let all = fill(&archive).await;
    let _ = archive.acquire(Acquire::new(all[3].id())).await.unwrap();
    let id = all[3].id().to_string();
    assert_eq!(ids(&written(dir.path(), &["list", "--json", "--state", "leased"])), [&*id]);
    assert_eq!(ids(&written(dir.path(), &["list", "--json", "--pending"])), [&*id]);
    assert!(ids(&written(dir.path(), &["list", "--json", "--state", "pending"])).is_empty());
    let page = written(dir.path(), &["show", &id]);
    assert!(page.contains("state      leased, attempt 1"), "{page}");
    let stats = &objects(&written(dir.path(), &["stats", "--json"]))[0];
    assert_eq!(stats["states"], serde_json::json!({ "leased": 1, "pending": 0, "processed": 9 }));
}

#[tokio::test]
async fn list_finds_deliveries_by_inference_key() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let all = inferences(&archive).await;
    for (options, wanted) in [
        (&["inv_1"][..], &[0, 1, 2][..]),
        (&["inv_1@2"], &[0, 1, 2]),
        (&["inv_1", "--model", "/m"], &[0, 1]),
        (&["inv_1", "--model", "/other"], &[2]),
        (&["inv_1", "--state", "dead"], &[2]),
        (&["inv_2"], &[3]),
        (&["inv_2", "--model", "/other"], &[]),
        (&["inv_3"], &[]),
    ] {
        let found = written(dir.path(), &[&["list", "--json", "--inference"], options].concat());
        let wanted: Vec<_> = wanted.iter().map(|at: &usize| all[*at].id().to_string()).collect();
        assert_eq!(ids(&found), wanted, "{options:?}");
    }
}

#[tokio::test]
async fn list_selects_by_model() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    fill(&archive).await;
    let other = Sample::of("/other").body("other").delivery();
    append(&archive, &other).await;
    let found = objects(&written(dir.path(), &["list", "--json", "--model", "/other"]));
    let ids: Vec<_> = found.iter().map(|object| object["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [other.id().to_string()]);
    assert_eq!(objects(&written(dir.path(), &["list", "--json", "--model", "/m"])).len(), 10);
}

#[tokio::test]
async fn list_shows_the_latest_50_unless_a_limit_is_given() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let mut all = Vec::new();
    for number in 0..60 {
        let one = Sample::of("/m").body(format!("{number}")).delivery();
        all.push(one.id().to_string());
        let _ = archive.append(Append::new(one)).await.unwrap();
    }
    archive.close().await;
    let listed =
        |arguments: &[&str]| ids(&written(dir.path(), &[&["list", "--json"], arguments].concat()));
    assert_eq!(listed(&[]), all[10..]);
    assert_eq!(listed(&["--limit", "3"]), all[57..]);
    assert_eq!(listed(&["--limit", "0"]), all);
}

#[tokio::test]
async fn closed_pipe_is_not_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    for _ in 0..2000 {
        let sample = Sample::of("/m").body(DeliveryId::new().to_string());
        drop(archive.append(Append::new(sample.delivery())));
    }
    archive.close().await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_inbox"));
    command.args(["list", "--limit", "0", "--archive"]).arg(dir.path());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 2];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!((first, output.status.code()), (*b"ID", Some(0)));
}

#[tokio::test]
async fn list_selects_the_last_and_those_since_an_age() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let all = fill(&archive).await;
    let recent = Sample::of("/m").body("recent");
    let recent = recent.received_at(since_1970().checked_sub(HOUR).unwrap()).delivery();
    append(&archive, &recent).await;
    let listed =
        |arguments: &[&str]| ids(&written(dir.path(), &[&["list", "--json"], arguments].concat()));
    let recent = recent.id().to_string();
    assert_eq!(listed(&["--since", "2h"]), [&*recent]);
    assert_eq!(listed(&["--since", "30m"]), [""; 0]);
    assert_eq!(listed(&["--last", "2"]), [all[9].id().to_string(), recent]);
    assert_eq!(listed(&["-n", "1", "--settled"]), [all[9].id().to_string()]);
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap()
}

#[tokio::test]
async fn columns_of_a_table_are_aligned() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    for (model, body) in [("/a", "1"), ("/a/much/longer/model", "22222222")] {
        append(&archive, &Sample::of(model).body(body).delivery()).await;
    }
    let table = written(dir.path(), &["list"]);
    let lines: Vec<_> = table.lines().collect();
    let column = lines[0].find("STATE").unwrap();
    assert!(lines[1..].iter().all(|line| line[column..] == *"pending"), "{table}");
    let column = lines[0].find("MODEL").unwrap();
    assert!(lines[1][..column].ends_with(" 1  ") && lines[2][..column].ends_with(" 8  "));
}

#[tokio::test]
async fn list_follow_prints_deliveries_as_they_are_archived() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    fill(&archive).await;
    let now = || Sample::of("/m").received_at(since_1970()).body(DeliveryId::new().to_string());
    let first = now().delivery();
    append(&archive, &first).await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_inbox"));
    command.args(["list", "--follow", "--last", "1", "--json", "--archive"]).arg(dir.path());
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || ids(&lines.next().unwrap().unwrap()).remove(0);
    assert_eq!(next(), first.id().to_string());
    for _ in 0..3 {
        let new = now().delivery();
        append(&archive, &new).await;
        assert_eq!(next(), new.id().to_string());
    }
    child.kill().unwrap();
    child.wait().unwrap();
}
