//! The record of a removal is dropped once the segment of the delivery has its ledger entry.

use std::{collections::HashSet, path::Path, time::Duration};

use super::{append, delivery};
use crate::{
    archive::{
        Acquire, Archive, DiskArchive, DiskArchiveBuilder, Query,
        disk::{format::warc::Meaning, index::ForeignRecord, read::listing::Listing, recovery},
    },
    delivery::{DeliveryId, Outcome, State},
};

fn builder(path: &Path) -> DiskArchiveBuilder {
    let age = Duration::ZERO;
    let builder = DiskArchive::builder(path).maintenance_interval(None).ledger_retention(None);
    builder.segment_age(age).compress_after(age)
}

/// The removals that the segments of a directory record.
fn removals_in(archive: &DiskArchive) -> Vec<DeliveryId> {
    let compactor = archive.compactor().unwrap();
    let mut removals = Vec::new();
    for (name, segment_state) in Listing::of_dir(&*compactor.fs, &compactor.dir).unwrap().segments {
        let file = compactor.fs.open_read(&name.path(&compactor.dir, segment_state)).unwrap();
        for (_, meaning) in recovery::records(&*file, name, segment_state).unwrap().unwrap() {
            if let Meaning::Removal(ids) = meaning {
                removals.extend(ids);
            }
        }
    }
    removals
}

/// The records in index files about deliveries of other segments.
fn foreign_in(archive: &DiskArchive) -> Vec<(DeliveryId, ForeignRecord)> {
    let compactor = archive.compactor().unwrap();
    let mut rows = Vec::new();
    for name in Listing::of_dir(&*compactor.fs, &compactor.dir).unwrap().segments.into_keys() {
        let file = compactor.read(|index| index.file_of(name).cloned());
        let foreign = file.map(|file| file.foreign().unwrap()).unwrap_or_default();
        rows.extend(foreign.into_iter().map(|row| (row.id, row.record)));
    }
    rows
}

fn remove_index_files(dir: &Path) {
    for file in std::fs::read_dir(dir).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "idx") {
            std::fs::remove_file(path).unwrap();
        }
    }
}

/// Opens the archive again, with and without index files, and checks that the delivery is removed in this state.
async fn assert_stays_removed(dir: &Path, id: DeliveryId, state: &State) {
    for index_files in [true, false] {
        if !index_files {
            remove_index_files(dir);
        }
        let archive = builder(dir).open().await.unwrap();
        assert!(archive.get(id).await.unwrap().is_none(), "{index_files}");
        assert_eq!(archive.state(id).await.unwrap().as_ref(), Some(state), "{index_files}");
        archive.close().await;
    }
}

#[tokio::test]
async fn removal_in_a_later_segment_is_dropped_when_that_segment_is_compressed() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let one = delivery("/m", b"1");
    let _ = append(&archive, &one).await.unwrap();
    let lease = archive.acquire(Acquire::new(one.id())).await.unwrap().lease.unwrap();
    archive.settle(lease, Outcome::processed(200), Duration::ZERO).await.unwrap();
    archive.maintain_now().await.unwrap();
    let two = delivery("/m", b"2");
    let _ = append(&archive, &two).await.unwrap();
    assert_eq!(archive.remove(Query::all().id(one.id())).await.unwrap(), 1);
    assert_eq!(removals_in(&archive), [one.id()], "it is in the segment that is being written");
    archive.maintain_now().await.unwrap();
    assert_eq!(removals_in(&archive), []);
    assert_eq!(foreign_in(&archive), []);
    archive.close().await;
    assert_stays_removed(dir.path(), one.id(), &Outcome::processed(200).into()).await;
}

#[tokio::test]
async fn state_recorded_after_the_removal_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let one = delivery("/m", b"1");
    let _ = append(&archive, &one).await.unwrap();
    let lease = archive.acquire(Acquire::new(one.id())).await.unwrap().lease.unwrap();
    archive.maintain_now().await.unwrap();
    let _ = append(&archive, &delivery("/m", b"2")).await.unwrap();
    assert_eq!(archive.remove(Query::all().id(one.id())).await.unwrap(), 1);
    archive.settle(lease, Outcome::processed(204), Duration::ZERO).await.unwrap();
    archive.maintain_now().await.unwrap();
    assert_eq!(removals_in(&archive), []);
    assert_eq!(foreign_in(&archive), [(one.id(), ForeignRecord::State)]);
    archive.close().await;
    assert_stays_removed(dir.path(), one.id(), &Outcome::processed(204).into()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn removal_of_a_delivery_with_bytes_left_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let archive = builder(dir.path()).open().await.unwrap();
    let all = [b"1", b"2"].map(|body| delivery("/m", body));
    for one in &all {
        let _ = append(&archive, one).await.unwrap();
    }
    archive.maintain_now().await.unwrap();
    let _ = append(&archive, &delivery("/m", b"3")).await.unwrap();
    let compactor = archive.compactor().unwrap();
    tokio::task::block_in_place(|| {
        // Only the first delivery is erased.
        assert_eq!(compactor.remove(&Query::all().id(all[0].id())).unwrap(), 1);
        assert_eq!(compactor.mark_all_removed(&Query::all().id(all[1].id())).unwrap(), 1);
        compactor.seal().unwrap();
        let listed = Listing::of_dir(&*compactor.fs, &compactor.dir).unwrap().segments;
        let (name, segment_state) = listed.into_iter().next_back().unwrap();
        let mut state = compactor.turn().unwrap();
        compactor.rewrite_without(name, segment_state, &HashSet::new(), &mut state).unwrap();
    });
    assert_eq!(removals_in(&archive), [all[1].id()]);
    assert_eq!(foreign_in(&archive), [(all[1].id(), ForeignRecord::Removal)]);
}
