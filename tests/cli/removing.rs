use std::time::Duration;

use tower_inbox::{
    Archive, Delivery, DiskArchive, Outcome,
    archive::{Acquire, Query},
    testing::Sample,
};

use super::{append, builder, fill, inbox, settle, settled, written};

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
    let archive = builder(dir.path()).upkeep_every(pause).open().await.unwrap();
    let all = fill(&archive).await;
    let id = all[3].id().to_string();
    let dry = inbox(dir.path(), &["erase", &id, "--dry-run"]);
    assert!(String::from_utf8_lossy(&dry.stderr).starts_with("would remove 1 delivery"));
    written(dir.path(), &["erase", &id]);
    assert_eq!(left(&archive, &all).await, [0, 1, 2, 4, 5, 6, 7, 8, 9]);
    assert_eq!(inbox(dir.path(), &["erase", &id]).status.code(), Some(1), "it was removed");
    assert_eq!(archive.remove(Query::all().id(all[3].id())).await.unwrap(), 0);
}

#[tokio::test]
async fn purge_of_a_model_keeps_other_models() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let mut all = fill(&archive).await;
    let other = Sample::of("/other").received_at(Duration::from_hours(1)).body("other").delivery();
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
    let archive = builder(dir.path()).upkeep_every(pause).open().await.unwrap();
    let all = fill(&archive).await;
    let output = inbox(dir.path(), &["purge", "--before", "1970-01-01T06:00:00Z"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.starts_with("archive is open in another process"), "{said}");
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
        let archive = builder(dir.path()).upkeep_every(pause).open().await.unwrap();
        let all = one_in_each_state(&archive).await;
        let output = inbox(dir.path(), &[&["purge", "--keep", "0s"][..], options].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        let removed = format!("removed {} deliveries\n", 7 - kept.len());
        assert!(output.status.success() && said.ends_with(&removed), "{said}");
        assert_eq!(left(&archive, &all).await, kept, "{options:?}");
    }
}
