use std::{
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
    time::Duration,
};

use tower_inbox::{
    Archive, Delivery, DiskArchive, Outcome,
    archive::{Acquire, Query},
    delivery::InferenceKey,
    testing::Sample,
};

use super::{HOUR, append, as_inference, builder, fill, inbox, settle, settled, written};

async fn left(archive: &DiskArchive, all: &[Delivery]) -> Vec<usize> {
    let mut left = Vec::new();
    for (at, one) in all.iter().enumerate() {
        if archive.get(one.id()).await.unwrap().is_some() {
            left.push(at);
        }
    }
    left
}

#[tokio::test]
async fn purge_removes_old_finished_deliveries_and_dry_run_counts_them() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let all = fill(&archive).await;
    drop(archive);
    let purge = ["purge", "--before", "1970-01-01T06:00:00Z"];
    let dry = inbox(dir.path(), &[&purge[..], &["--dry-run"]].concat());
    assert!(String::from_utf8_lossy(&dry.stderr).starts_with("would remove 5 deliveries"));
    assert_eq!(left(&DiskArchive::read_only(dir.path()).await.unwrap(), &all).await.len(), 10);
    written(dir.path(), &purge);
    let archive = DiskArchive::read_only(dir.path()).await.unwrap();
    assert_eq!(left(&archive, &all).await, [3, 6, 7, 8, 9]);
    written(dir.path(), &["purge", "--keep", "30d", "--unsettled"]);
    assert_eq!(left(&archive, &all).await, [0; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn erase_is_executed_by_the_server_that_has_the_archive_open() {
    let dir = tempfile::tempdir().unwrap();
    let pause = Duration::from_millis(20);
    let archive = builder(dir.path()).maintenance_interval(pause).open().await.unwrap();
    let all = fill(&archive).await;
    let id = all[3].id().to_string();
    let dry = inbox(dir.path(), &["erase", &id, "--dry-run"]);
    assert!(String::from_utf8_lossy(&dry.stderr).starts_with("would remove 1 delivery"));
    written(dir.path(), &["erase", &id]);
    assert_eq!(left(&archive, &all).await, [0, 1, 2, 4, 5, 6, 7, 8, 9]);
    assert_eq!(inbox(dir.path(), &["erase", &id]).status.code(), Some(1), "it was removed");
    assert_eq!(archive.remove(Query::all().id(all[3].id())).await.unwrap(), 0);
}

/// Runs `inbox` with this standard input.
fn inbox_reading(dir: &Path, arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_inbox"));
    let command = command.env("INBOX_ARCHIVE", dir).args(arguments).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn erase_takes_many_ids_a_file_and_standard_input_with_or_without_a_server() {
    for with_server in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("inbox");
        let open = || builder(&path).maintenance_interval(Duration::from_millis(20)).open();
        let archive = open().await.unwrap();
        let all = fill(&archive).await;
        if !with_server {
            archive.close().await;
        }
        let id = |at: usize| all[at].id().to_string();
        let file = dir.path().join("ids");
        std::fs::write(&file, format!("{}\n\n{}\n", id(2), id(3))).unwrap();
        let file = file.to_str().unwrap();
        written(&path, &["erase", &id(0), &id(1), &id(0), "--ids", file]);
        let reading = DiskArchive::read_only(&path).await.unwrap();
        assert_eq!(left(&reading, &all).await, [4, 5, 6, 7, 8, 9], "server: {with_server}");
        let output =
            inbox_reading(&path, &["erase", "--ids", "-"], &format!("{}\n{}", id(4), id(0)));
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "one was removed before: {said}");
        assert!(said.contains(&format!("no delivery {} in", id(0))), "{said}");
        assert!(said.ends_with("removed 1 delivery\n"), "{said}");
        let reading = DiskArchive::read_only(&path).await.unwrap();
        assert_eq!(left(&reading, &all).await, [5, 6, 7, 8, 9], "server: {with_server}");
        // An empty list differs from a missing selection.
        let output = inbox_reading(&path, &["erase", "--ids", "-"], "");
        assert!(String::from_utf8(output.stderr).unwrap().ends_with("removed 0 deliveries\n"));
        let output = inbox(&path, &["erase"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8(output.stderr).unwrap().contains("missing selection"));
        assert_eq!(left(&reading, &all).await, [5, 6, 7, 8, 9], "server: {with_server}");
    }
}

#[tokio::test]
async fn erase_takes_the_options_of_list() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let all = one_in_each_state(&archive).await;
    let key = InferenceKey::new("inv_1");
    let outcome = as_inference(Outcome::processed(200), "/m", &key);
    let of_inference = settled(&archive, "/m", "of an inference", outcome).await;
    archive.close().await;
    written(dir.path(), &["erase", "--state", "dead"]);
    let archive = DiskArchive::read_only(dir.path()).await.unwrap();
    assert_eq!(left(&archive, &all).await, [0, 1, 2, 3, 5, 6]);
    let output = inbox(dir.path(), &["erase", &all[0].id().to_string(), "--settled"]);
    assert_eq!(output.status.code(), Some(1), "it is pending");
    written(dir.path(), &["erase", "--inference", "inv_1"]);
    let archive = DiskArchive::read_only(dir.path()).await.unwrap();
    assert_eq!(left(&archive, &all).await, [0, 1, 2, 3, 5, 6]);
    assert!(archive.get(of_inference.id()).await.unwrap().is_none());
    written(dir.path(), &["erase", "--model", "/m", "--since", "1970-01-01"]);
    let archive = DiskArchive::read_only(dir.path()).await.unwrap();
    assert_eq!(left(&archive, &all).await, [0; 0]);
}

#[tokio::test]
async fn purge_of_a_model_keeps_other_models() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let mut all = fill(&archive).await;
    let other = Sample::of("/other").received_at(HOUR).body("other").delivery();
    append(&archive, &other).await;
    settle(&archive, other.id(), Outcome::processed(200)).await;
    all.push(other);
    drop(archive);
    written(dir.path(), &["purge", "--keep", "30d", "--model", "/other"]);
    let archive = DiskArchive::read_only(dir.path()).await.unwrap();
    assert_eq!(left(&archive, &all).await, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
}

#[tokio::test(flavor = "multi_thread")]
async fn purge_is_executed_by_the_server_that_has_the_archive_open() {
    let dir = tempfile::tempdir().unwrap();
    let pause = Duration::from_millis(20);
    let archive = builder(dir.path()).maintenance_interval(pause).open().await.unwrap();
    let all = fill(&archive).await;
    let output = inbox(dir.path(), &["purge", "--before", "1970-01-01T06:00:00Z"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.starts_with("note: archive is open in another process"), "{said}");
    assert!(said.ends_with("removed 5 deliveries\n"), "{said}");
    assert_eq!(left(&archive, &all).await, [3, 6, 7, 8, 9]);
}

/// One delivery in each state: pending, leased, processed, failed, dead, undecodable, repeat.
async fn one_in_each_state(archive: &DiskArchive) -> Vec<Delivery> {
    let (pending, leased) = (Sample::of("/m").body("p"), Sample::of("/m").body("l"));
    let (pending, leased) = (pending.delivery(), leased.delivery());
    append(archive, &pending).await;
    append(archive, &leased).await;
    let _ = archive.acquire(Acquire::new(leased.id())).await.unwrap();
    let first = settled(archive, "/m", "processed", Outcome::processed(200)).await;
    let repeat = Outcome::repeat(first.id());
    let mut all = vec![pending, leased, first];
    for (body, outcome) in [
        ("failed", Outcome::failed("503")),
        ("dead", Outcome::dead("404")),
        ("undecodable", Outcome::undecodable("$.text is missing")),
        ("repeat", repeat),
    ] {
        all.push(settled(archive, "/m", body, outcome).await);
    }
    all
}

const PURGES: [(&[&str], &[usize]); 4] = [
    (&[], &[0, 1, 3, 4, 5]),
    (&["--dead"], &[0, 1, 3]),
    (&["--unsettled"], &[4, 5]),
    (&["--dead", "--unsettled"], &[]),
];

#[tokio::test]
async fn purge_keeps_dead_and_unsettled_deliveries_unless_named() {
    for (options, kept) in PURGES {
        let dir = tempfile::tempdir().unwrap();
        let archive = builder(dir.path()).open().await.unwrap();
        let all = one_in_each_state(&archive).await;
        archive.close().await;
        let purge = [&["purge", "--keep", "0s"][..], options].concat();
        let dry = inbox(dir.path(), &[&purge[..], &["--dry-run"]].concat());
        let (dry, removed) = (String::from_utf8(dry.stderr).unwrap(), 7 - kept.len());
        assert!(dry.starts_with(&format!("would remove {removed} deliveries")), "{dry}");
        assert_eq!(left(&DiskArchive::read_only(dir.path()).await.unwrap(), &all).await.len(), 7);
        written(dir.path(), &purge);
        let archive = DiskArchive::read_only(dir.path()).await.unwrap();
        assert_eq!(left(&archive, &all).await, kept, "{options:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn server_purges_the_same_states_on_request() {
    for (options, kept) in PURGES {
        let dir = tempfile::tempdir().unwrap();
        let pause = Duration::from_millis(20);
        let archive = builder(dir.path()).maintenance_interval(pause).open().await.unwrap();
        let all = one_in_each_state(&archive).await;
        let output = inbox(dir.path(), &[&["purge", "--keep", "0s"][..], options].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        let removed = format!("removed {} deliveries\n", 7 - kept.len());
        assert!(output.status.success() && said.ends_with(&removed), "{said}");
        assert_eq!(left(&archive, &all).await, kept, "{options:?}");
    }
}
