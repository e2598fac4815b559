use std::time::Duration;

use tower_inbox::{Archive, Delivery, DiskArchive, Outcome, archive::Query, testing::Sample};

use super::{builder, fill, inbox, written};

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
async fn it_removes_what_is_old_and_settled_or_says_what_it_would() {
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
    written(dir.path(), &["purge", "--keep", "30d", "--unsettled-too"]);
    assert_eq!(left(&archive, &all).await, [0; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_has_a_server_that_writes_remove_one() {
    let dir = tempfile::tempdir().unwrap();
    let pause = Duration::from_millis(20);
    let archive = builder(dir.path()).upkeep_every(pause).open().await.unwrap();
    let all = fill(&archive).await;
    let id = all[3].id().to_string();
    let dry = inbox(dir.path(), &["erase", &id, "--dry-run"]);
    assert!(String::from_utf8_lossy(&dry.stderr).starts_with("would remove 1 delivery"));
    written(dir.path(), &["erase", &id]);
    assert_eq!(left(&archive, &all).await, [0, 1, 2, 4, 5, 6, 7, 8, 9]);
    assert_eq!(inbox(dir.path(), &["erase", &id]).status.code(), Some(1), "it is gone");
    assert_eq!(archive.remove(Query::all().id(all[3].id())).await.unwrap(), 0);
}

#[tokio::test]
async fn it_purges_what_is_of_a_model_and_leaves_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let mut all = fill(&archive).await;
    let other = Sample::of("/other").received_at(Duration::from_hours(1)).body("other").delivery();
    let _ = archive.append(other.clone()).await.unwrap();
    archive.settle(other.id(), Outcome::processed(200)).await.unwrap();
    all.push(other);
    drop(archive);
    written(dir.path(), &["purge", "--keep", "30d", "--model", "/other"]);
    let archive = DiskArchive::read_only(dir.path()).await.unwrap();
    assert_eq!(left(&archive, &all).await, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_has_a_server_that_writes_purge_what_is_old() {
    let dir = tempfile::tempdir().unwrap();
    let pause = Duration::from_millis(20);
    let archive = builder(dir.path()).upkeep_every(pause).open().await.unwrap();
    let all = fill(&archive).await;
    let output = inbox(dir.path(), &["purge", "--before", "1970-01-01T06:00:00Z"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.starts_with("another process writes") && said.ends_with("removed 5 deliveries\n"));
    assert_eq!(left(&archive, &all).await, [3, 6, 7, 8, 9]);
}
